"""Check a composed configuration: the types of its values, that none is missing, and that none contradict."""

from collections.abc import Mapping

from omegaconf import DictConfig, OmegaConf

from segment.configuration.consistency import check_consistency, check_used
from segment.configuration.conversion import convert_types
from segment.configuration.resolve import resolvable, resolve
from segment.errors import UserError


def validate_config(command: str, cfg: DictConfig, spellings: Mapping[str, str] | None = None) -> DictConfig:
    """Check that a configuration is complete and consistent, and convert every value to the type of its option.

    The result is read-only: what a run finds out is recorded beside it.

    Args:
        command: The command that the configuration belongs to.
        cfg: The configuration that Hydra composed, without the `hydra` node. `run_dir` may be missing: the command sets
            it.
        spellings: The values as the command line wrote them, by key.

    Raises:
        UserError: As `convert_types`, and when a required value is missing, two values contradict each other, or
            a shared value is set and used by nothing.
    """
    copy = convert_types(command, cfg, spellings)
    complete = resolvable(copy)
    missing = sorted(OmegaConf.missing_keys(complete))
    if missing:
        msg = f"no value for {', '.join(missing)}; give it, e.g. {missing[0]}=…"
        raise UserError(msg)
    check_used(OmegaConf.to_container(copy, resolve=False), spellings or {})  # type: ignore[arg-type]
    check_consistency(resolve(complete))
    OmegaConf.set_readonly(copy, True)
    return copy
