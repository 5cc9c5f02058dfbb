"""How the results of a paper are described: titles, and what sentences compare (`story.yaml`)."""

from pydantic import Field

from referee.paper.claims import Part


class Ratio(Part):
    """Two models; a sentence says how much of the other's score one keeps, and at what cost.

    Attributes:
        model: name of the model that the sentence is about.
        baseline: name of the model that it is compared with.
        model_words: the model in words: `the small network`.
        baseline_words: the baseline in words: `the large network`.

    """

    model: str
    baseline: str
    model_words: str
    baseline_words: str


class Story(Part):
    """Words and choices of the results page and of the sentences in the notebook.

    Attributes:
        heading: heading of the results page; if empty, it is the title of the paper.
        short_title: the paper's title as sentences give it; if empty, they give it in full.
        ratio: the two models that a sentence compares; without it there is no such sentence.
        variation: the rule that varies the paper's models, in words.
        tests: what each significance file tests whose tests are counted, by the file's name.
        runtimes: the baseline runtimes that latencies are compared with, in words, by name.

    """

    heading: str = ""
    short_title: str = ""
    ratio: Ratio | None = None
    variation: str = "the variation"
    tests: dict[str, str] = Field(default={})
    runtimes: dict[str, str] = Field(default={})
