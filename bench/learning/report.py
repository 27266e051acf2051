"""The figures as a page: what was asked, tables, what they were measured on, and what they mean."""

from collections.abc import Mapping, Sequence

from bench.learning.asked import asked
from bench.learning.job import LeftOut
from bench.learning.results import Result
from bench.learning.sections import differences, section
from bench.learning.table import METHODS

INSIDE_AIRBNB = """Titles of real listings of Inside Airbnb (CC BY 4.0), title to room type; hosts of the
test are in no training row."""

_INTRODUCTION = """# What a stream of labels teaches, and what is forgotten

Written by `make bench-learning`; do not edit. {texts}
"""

_HOW = """## How it was measured

roomstream's rows run through the trainer's own code, fed by files: a tenth of the labels is held out to
judge releases by, candidates pass its gates, and what answers is the release that is live. Everything
with an encoder but joint fine-tuning begins with the same one, tuned on the beginning of the stream
only: its first phase, or the rows of its first city where the order is not that of cities. Naive
fine-tuning goes on from there too; joint fine-tuning, and that on new data alone, begins with the
model as it came.

Figures are percentages: the mean over seeds ± the standard deviation. *Accuracy* and *macro-F1* (over
the classes that a city has) are means over the cities of the test, or of all of it where there are
none, at the end of the stream. *Average accuracy* is the mean over the parts of the stream: cities,
groups of classes, snapshots or tasks. *Forgetting* is the best accuracy on a part after an earlier
phase minus that at the end, the mean over all parts but the last (Chaudhry et al. 2018); *backward
transfer* is the accuracy at the end minus that right after the part was taught (Lopez-Paz & Ranzato
2017). *Label to live* is the median time from a label's arrival to answers that know it, without
waiting for other labels: for a fine-tune or a refit the whole of it. Behind a refused candidate a label
waits on, while those after it are learned, until a release is live. Encoding is part of both costs.
Tuning the first encoder is part of those of naive fine-tuning where that is its first phase, and of no
other.
"""

_ELSEWHERE = """## What tests show

`make test ARGS="-k NAME"` runs them.

- `refused_for`: candidates made bad on purpose are refused: permuted labels for accuracy (and more), a
  dropped class for recall, an overfitted one for calibration.
- `overfitting`: fine-tuning whose training loss falls while its validation loss rises at two evaluations
  in a row stops, and keeps the weights of its best evaluation.
- `rolled_back_within`: a bad release that is forced live is rolled back after 40 labels, within 30 s.
- `test_drift`: fewer than 6 alarms in 60,000 simulated labels whose error stays the same (5%, 15% or
  30%); an error that rises from 15% to 50% is seen within 100 labels, with each of 5 seeds.
- `never_learned`: streaming LDA without a deleted listing equals one that was never taught it.
- `killed`: a trainer killed at random moments learns every label once, and ends a trial with the same
  challenger; a fine-tune killed after its first checkpoint ends in the same weights; the slow path
  started again before its job, before its candidate or before it goes on with it ends in the same
  release.
"""


def page(
    results: Sequence[Result],
    left_out: Sequence[LeftOut],
    about: Mapping[str, object],
    pictures: Mapping[str, str],
    texts: str = INSIDE_AIRBNB,
) -> str:
    """
    Write the page.

    Args:
        results: What was found.
        left_out: What there was no time for.
        about: What it was measured on, and how.
        pictures: The address of each stream's picture.
        texts: What is classified, in a sentence or two.
    """
    streams = dict.fromkeys(each.stream for each in results)
    runs = ", ".join(
        f"{each.stream}: {METHODS[each.method].title} (seed {each.seed})" for each in left_out
    )
    parts = [
        _INTRODUCTION.format(texts=texts),
        asked(results),
        _HOW,
        *(section(results, stream, pictures.get(stream)) for stream in streams),
        differences(results),
        f"Left out, since the time was over: {runs}.\n" if runs else "",
        _ELSEWHERE,
        "Measured on: " + ", ".join(f"{key} {value}" for key, value in about.items()) + ".",
    ]
    return "\n".join(filter(None, parts)) + "\n"
