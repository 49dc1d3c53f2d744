import inspect

import wandb

from segment.loggers.wandb_internals import NO_MACHINE_FACTS


def test_this_version_of_wandb_has_the_settings_that_keep_facts_about_the_machine_out():
    missing = NO_MACHINE_FACTS.keys() - wandb.Settings.model_fields.keys()
    assert not missing, f"wandb has renamed or removed {missing}: adapt segment/loggers/wandb_internals.py"


def test_this_version_of_wandb_binds_a_table_to_a_run_by_run_key_and_step():
    signatures = []
    for base in wandb.Table.__mro__:
        if "bind_to_run" in vars(base):
            signatures.append(list(inspect.signature(base.bind_to_run).parameters)[1:4])
    assert ["run", "key", "step"] in signatures, "adapt keep_as_file in segment/loggers/wandb_internals.py"
