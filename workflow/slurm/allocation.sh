#!/usr/bin/env bash
# Small cells: one job that holds the processors and runs the whole workflow inside.
#   sbatch --partition main --account lab workflow/slurm/allocation.sh results/tables/table3.csv
#SBATCH --job-name=qmoe
#SBATCH --nodes=1 --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=04:00:00
#SBATCH --exclusive
#SBATCH --no-requeue
#SBATCH --output=allocation-%j.log
# Two minutes before its time is over Snakemake is interrupted, and leaves no lock behind.
#SBATCH --signal=B:INT@120
unset SNAKEMAKE_PROFILE # that one would submit jobs from within
exec snakemake --resources mem_mb="$SLURM_MEM_PER_NODE" -j "$SLURM_CPUS_PER_TASK" "$@"
