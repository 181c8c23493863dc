"""What people who wait for measurements are told."""

from tuner.evaluators.doing import Doing


def test_nothing_goes_on_before_and_after() -> None:
    doing = Doing()

    assert doing.words() is None
    with doing.one() as stage:
        stage.at = "measuring"
        assert doing.words() == "measuring"
    assert doing.words() is None


def test_several_measurements_are_counted_by_what_they_are_at() -> None:
    doing = Doing()

    with doing.one() as one, doing.one() as two, doing.one() as three:
        one.at = two.at = "measuring"
        three.at = lambda: "loading"
        assert doing.words() == "1 loading, 2 measuring"
