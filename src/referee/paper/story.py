"""How the results of a paper are described: titles, and what sentences compare (`story.yaml`)."""

from pydantic import Field

from referee.paper.claims import Part


class Ratio(Part):
    """Two models; a sentence says how much of the baseline's score one keeps, and at what cost."""

    model: str
    baseline: str
    model_words: str  # in a sentence: `the small network`
    baseline_words: str


class Story(Part):
    """Words and choices of the results page and of the sentences in the notebook."""

    heading: str = ""  # of the results page; if empty, the title of the paper
    short_title: str = ""  # of the paper, as sentences give it; if empty, they give it in full
    ratio: Ratio | None = None  # without it no sentence compares two models
    variation: str = "the variation"  # the rule that varies the paper's models, in words
    tests: dict[str, str] = Field(default={})  # what a significance file tests, by its name
    runtimes: dict[str, str] = Field(default={})  # that latencies are compared with, in words
