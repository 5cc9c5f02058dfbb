"""Packed models: files of a few bits a weight that run without torch, made and checked here."""
