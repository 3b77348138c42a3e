"""What is offered, and what is known without being offered."""

from jobs.catalog import stem_offers, step_offers


def test_a_stem_that_no_model_makes_is_listed_as_unavailable():
    offers = {offer.name: offer for offer in stem_offers()}
    assert (offers["piano"].models, offers["piano"].available) == ([], False)
    assert offers["piano"].title == "Piano"
    assert (offers["vocals"].models[0], offers["vocals"].available) == ("htdemucs", True)


def test_a_step_that_no_tool_does_is_listed_as_unavailable():
    found = {offer.name: (offer.tools, offer.available) for offer in step_offers()}
    assert found == {
        "denoise": (["deepfilternet3"], True),
        "deecho": ([], False),
        "dereverb": ([], False),
    }
