"""An explanation for people."""

import json
from typing import Any

import pandas as pd

from referee.explain.explain import Explanation, function_at
from referee.explain.origins import in_words

TRAINED_BY = {
    True: "the code that is here",
    False: "OTHER code than that which is here",
    None: "code of which it cannot be told whether it is that which is here (there is no run.json)",
}


def explanation_markdown(explanation: Explanation) -> str:
    """The explanation as Markdown."""
    arm = " ".join(str(value) for value in explanation.keys.values() if value is not None)
    where = f"{explanation.table}, row {explanation.row}" if explanation.table else "cell"
    steps = map(function_at, explanation.steps)
    function = function_at(explanation.aggregation)
    made = in_words(steps, function, explanation.arguments, explanation.part)
    heading = f"# {explanation.column} = {explanation.value!r}"
    lines = [heading, "", f"{where}: {arm}", "", f"Made by: {made}."]
    for number, group in enumerate(explanation.groups, 1):
        cells = pd.DataFrame(group["cells"]).drop(columns="predictions", errors="ignore")
        shown = cells[[name for name in cells if name != "cell"] + ["cell"] * ("cell" in cells)]
        table = shown.astype({"value": object}).to_markdown(index=False, disable_numparse=True)
        lines += ["", f"Group {number}: `{group['source']}` of {group['file']}", "", str(table)]
    commit = explanation.code["commit"]
    changed = ", with files changed since" if explanation.code["dirty"] else ""
    lines += ["", f"Code here: {f'commit {commit}' if commit else 'no git commit'}{changed}."]
    return "\n".join(lines) + "\n" + "".join(map(_experiment, explanation.experiments))


def _experiment(experiment: dict[str, Any]) -> str:
    spec = experiment["spec"]
    trained_by = TRAINED_BY[experiment["same_training_code"]]
    versions = ", ".join(f"{name} {version}" for name, version in spec["versions"].items())
    commands = "\n".join(experiment["commands"])
    return f"""
## {experiment["folder"]}

- data: {spec["embeddings"]}, SHA-256 {experiment["embeddings_sha256"]}
- trained by {trained_by} (source key {spec["source"]}), {versions}
- remove the folders of its cells, then either of these trains them anew:

```
{commands}
```

```json
{json.dumps(spec, indent=1, sort_keys=True)}
```
"""
