from analysis import measures
from paper_figs import names


def test_figures_read_the_names_that_measures_write():
    shared = {name for name in vars(names) if name.isupper()} & {name for name in vars(measures) if name.isupper()}
    assert len(shared) > 20
    for name in shared:
        assert getattr(names, name) == getattr(measures, name), name
    own = {name for name in vars(names) if name.isupper()} - shared
    assert own == {"ARM_LABELS", "SYNTHESIZER_LABELS"}
    assert names.at_checkpoint("gain", names.BEST) == measures.at_checkpoint("gain", measures.BEST)
