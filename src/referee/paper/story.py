"""How a paper's results are told, as its `story.yaml` says: titles, and what sentences compare."""

from pydantic import Field

from referee.paper.claims import Part


class Ratio(Part):
    """Two models of which a sentence tells what one keeps and costs of the other.

    Attributes:
        model: the one that is told about.
        baseline: the one that it is compared with.
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
        heading: of the results page; empty takes the title of the paper.
        short_title: of the paper, in a sentence; empty takes its title.
        ratio: of two models; None tells no such sentence.
        variation: what the paper's varied arms vary their models by, in words.
        tests: the significance files whose tests are counted, with what each tests.
        runtimes: the baseline runtimes that the latency is told against, in words, by name.

    """

    heading: str = ""
    short_title: str = ""
    ratio: Ratio | None = None
    variation: str = "the variation"
    tests: dict[str, str] = Field(default={})
    runtimes: dict[str, str] = Field(default={})
