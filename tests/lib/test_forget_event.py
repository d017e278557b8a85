from lib import events
from lib.publisher import publish
from lib.tracking import connect
from tests.lib.test_publisher import model, put, story


def test_models_that_learned_what_was_forgotten_are_tagged_in_mlflow(home):
    uri = f"sqlite:///{home.root / 'mlflow.db'}"
    name = "0" * 32
    put(home.root, *story(), events.ForgetEvent("demo", "completion", name, (model("r1"), model("r2"), model("never registered"))))
    assert publish(home.outbox, uri).failed == 0
    marked = {
        str(version.tags["roundhouse.digest"])
        for version in connect(uri).search_model_versions("name = 'demo.policy'")
        if f"roundhouse.forgot.completion.{name}" in version.tags
    }
    assert marked == {model("r1").digest, model("r2").digest}
