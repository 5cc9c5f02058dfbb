"""What a person sees of a run: `snakemake --logger qmoe`, which the default profile selects.

At the start what will be made, then how far it is and what runs; at the end where to look, or what
failed, why, and where its logs are. Snakemake's own account of the run stays in .snakemake/log.
"""

import re
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from logging import ERROR, WARNING, LogRecord
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_qmoe import lines
from snakemake_logger_plugin_qmoe.progress import Work, names, read
from snakemake_logger_plugin_qmoe.reasons import BY_USER, actual, why
from snakemake_logger_plugin_qmoe.screen import Screen

EVERY_S = 0.5  # from one look at the files of the running orders to the next

# How Snakemake and its executor for SLURM begin what they say without an event.
NOTHING = "Nothing to be done"
INTERRUPTED = ("Terminating processes on user request", "Will exit after finishing")
REFUSED = "SLURM sbatch failed for array"
NOISE = (
    "Building DAG of jobs",
    "Assuming unrestricted shared filesystem",
    "Config file ",
    "--keep-incomplete mode is set",
    "Exiting because a job execution failed",
    "WorkflowError:\nAt least one job did not complete",
)


@dataclass
class Job:
    """A job that was started: its rule, the rule with its wildcards, its own logs, its order."""

    rule: str
    name: str
    logs: list[str]
    order: str | None = None


class LogHandler(LogHandlerBase):
    """Takes Snakemake's records, each by the method that has the name of its event."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = True  # failures are shown under every --quiet
    has_formatter = False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        settings = self.common_settings
        quiet = {choice.name for choice in settings.quiet or ()}
        self.is_silent = "ALL" in quiet and not settings.dryrun
        self.tells_progress = not (self.is_silent or settings.verbose or "PROGRESS" in quiet)
        self.tells_rules = self.tells_progress and "RULES" not in quiet
        self.screen = Screen(sys.stdout if settings.stdout else sys.stderr)
        self.earlier = names()
        self.work = Work({})
        self.stats: dict[str, int] = {}
        self.jobs: dict[int, Job] = {}
        self.running: set[int] = set()
        self.finished: set[int] = set()
        self.failures: dict[int, str] = {}
        self.untold: dict[int | None, str] = {}  # by thread: an exception, perhaps of a job
        self.refused = ""  # what sbatch said of a job array
        self.told: set[str] = set()  # rules and warnings
        self.tenths: dict[str, int] = {}
        self.reasons: dict[str, dict[str, None]] = {}
        self.outputs: list[str] = []
        self.log = ""
        self.began_s = self.ended_s = 0.0
        self.ran = self.has_failed = self.interrupted = False
        self.mutex = threading.RLock()
        self.closing = threading.Event()
        self.ticker = threading.Thread(target=self._tick, daemon=True)

    def emit(self, record: LogRecord) -> None:
        """Tell a record, or remember it for the end."""
        event = getattr(record, "event", None)
        take = getattr(self, f"_{event or 'message'}", None)
        try:
            with self.mutex:
                if event != LogEvent.JOB_ERROR and record.thread in self.untold:
                    self._tell_error(self.untold.pop(record.thread))
                if self.common_settings.verbose or event == LogEvent.DEBUG_DAG:
                    self.screen.say(self.format(record) or "")
                if take:
                    take(record)
        except Exception:  # it would end the thread that calls, and with it every message
            self.handleError(record)

    def close(self) -> None:
        """Tell how the run ended. This is called more than once."""
        if not self.closing.is_set():
            self.closing.set()
            if self.ticker.is_alive():
                self.ticker.join()
            self.screen.close()
            for text in self.untold.values():
                self._tell_error(text)
            for text in filter(None, self._end()):
                self.screen.say(text)
        super().close()

    # --- events ---

    def _workflow_started(self, record: Any) -> None:
        self.began_s = record.created

    def _run_info(self, record: Any) -> None:
        self.stats = record.stats

    def _job_started(self, record: Any) -> None:
        if self.ran:
            return
        self.ran = True
        self.work = Work({name: read(name) for name in sorted(names() - self.earlier)})
        if self.tells_progress:
            self.screen.say(lines.plan(self.stats, self.work.counts()))
            self.ticker.start()

    def _job_info(self, record: Any) -> None:
        rule, values = record.rule_name, record.wildcards
        name = " ".join([rule, *map(str, values.values())])
        self.jobs[record.jobid] = Job(rule, name, record.log, values.get("order"))
        self.running.add(record.jobid)
        self.outputs += [path for path in record.output if not path.startswith(".store")]
        parts = re.findall(r"(?:^|; )([A-Z][^:;.]+)", record.reason)
        self.reasons.setdefault(rule, {}).update(dict.fromkeys(parts))
        self.work.start(values.get("order"), record.created)
        if record.output and self.ran and self.tells_rules and not self.screen.is_live:
            self._tell_once(rule, f"{lines.clock()} {rule}")

    def _shellcmd(self, record: Any) -> None:
        if self.common_settings.printshellcmds and (command := vars(record).get("shellcmd")):
            self._tell(command)

    def _job_finished(self, record: Any) -> None:
        self.running.discard(record.job_id)
        self.finished.add(record.job_id)
        self.work.stop(self.jobs[record.job_id].order, finished=True)
        if self.tells_progress and not self.screen.is_live:
            self._tell_tenths()

    def _job_error(self, record: Any) -> None:
        job = self.jobs.get(record.jobid) or Job(record.rule_name, record.rule_name, record.log)
        logs = [actual(Path(log)) for log in record.log]
        own, of_slurm = logs[: len(job.logs)], logs[len(job.logs) :]
        message, error = record.rule_msg or "", self.untold.pop(record.thread, "")
        if "failed array sbatch" in message:
            message = self.refused or message
        self._failed(record.jobid, job, why(message, error, own, of_slurm), logs)

    def _error(self, record: Any) -> None:
        text = record.getMessage()
        if missing := re.search(
            r"^Job (\d+) +completed successfully, but .*\n([\s\S]*)", text, re.M
        ):
            job = self.jobs[int(missing[1])]  # of this failure no other record tells
            reason = f"it did not write {missing[2]}"
            self._failed(int(missing[1]), job, reason, list(map(Path, job.logs)))
        else:
            self.untold[record.thread] = text

    def _failed(self, jobid: int, job: Job, reason: str, logs: list[Path]) -> None:
        self.running.discard(jobid)
        self.work.stop(job.order, finished=False)
        if self.interrupted:
            return
        *above, last = reason.splitlines()
        self.failures[jobid] = lines.failure(job.name, reason, logs)
        if self.tells_progress and last != BY_USER:
            self._tell(f"{lines.clock()} {job.name} failed: {'... ' if above else ''}{last}")

    def _message(self, record: Any) -> None:
        text = record.getMessage()
        if again := re.fullmatch(r"Trying to restart job (\d+)\.", text):
            self.failures.pop(int(again[1]), None)
            if self.tells_progress:
                self._tell(f"{lines.clock()} {self.jobs[int(again[1])].name} starts again")
        elif found := re.match(r"Complete log\(s\): (.*)", text):
            self.log, self.ended_s = found[1].removeprefix(f"{Path.cwd()}/"), record.created
        elif text.startswith(INTERRUPTED):
            self.interrupted = True
            self.failures = {n: text for n, text in self.failures.items() if BY_USER not in text}
        elif text.startswith(REFUSED):
            self.refused = text
        elif record.levelno >= WARNING:
            if record.levelno >= ERROR or not self.is_silent:
                self._tell_once(text, text)
        elif (text.startswith(NOTHING) or not self.began_s) and not self.is_silent:
            self._tell(text)

    # --- what is written ---

    def _tell(self, text: str) -> None:
        """Write text, unless it is noise or, under --verbose, was written in Snakemake's words."""
        if not text.startswith(NOISE) and not self.common_settings.verbose:
            self.screen.say(text)

    def _tell_error(self, text: str) -> None:
        self.has_failed = True
        self._tell(text)

    def _tell_once(self, key: str, text: str) -> None:
        if key not in self.told:
            self.told.add(key)
            self._tell(text)

    def _tick(self) -> None:
        """Until the end, draw the live line, or write a line for each tenth of a kind of order."""
        took_s = 0.0
        while not self.closing.wait(max(EVERY_S, 20 * took_s)):  # a slow disk is asked less often
            begun_s = time.time()
            with self.mutex:
                self.work.look()
                took_s = time.time() - begun_s
                (self._draw if self.screen.is_live else self._tell_tenths)()

    def _draw(self) -> None:
        counts, total = self.work.counts(), self.stats.get("total", 0)
        running = Counter(self.jobs[number].rule for number in self.running)
        runs = ", ".join(rule + (f" x{n}" if n > 1 else "") for rule, n in running.items())
        left = lines.left(self.work.remaining_s(time.time()))
        ordinary = [n for n in self.finished if self.jobs[n].order not in self.work.orders]
        self.screen.draw(
            f"jobs {len(self.finished)}/{total}{lines.tally(counts)}{left} | {runs}",
            len(ordinary) + sum(made for made, _ in counts.values()),
            total - len(self.work.orders) + sum(units for _, units in counts.values()),
        )

    def _tell_tenths(self) -> None:
        for kind, (made, total) in self.work.counts().items():
            if (tenth := 10 * made // total) > self.tenths.get(kind, 0):
                self.tenths[kind] = tenth
                left = lines.left(self.work.remaining_s(time.time()))
                self._tell(f"{lines.clock()} {lines.tally({kind: (made, total)})[2:]}{left}")

    def _end(self) -> list[str]:
        """The last lines: each failure, what to do, what was made, where to look."""
        settings = self.common_settings
        if settings.dryrun:
            return [lines.would_run(self.stats, self.reasons)] if self.stats else []
        if not self.ran or (self.is_silent and not (self.has_failed or self.interrupted)):
            return []
        log = f"Log of the whole run: {self.log}" if self.log and not self.is_silent else ""
        if self.has_failed or self.interrupted:
            cause = "Interrupted. " if self.interrupted else ""
            return [*self.failures.values(), f"{cause}{lines.STAYS}", log]
        took_s = self.ended_s - self.began_s
        return [lines.done(self.stats, self.work.counts(), took_s, self.outputs), log]
