"""Which part of ``bellmetal migrate`` was asked for; each is imported when it is."""

from __future__ import annotations

from bellmetal.moving import (
    MigrateCheckSettings,
    MigrateConfigSettings,
    MigrateProtectSettings,
    MoveInSettings,
)


def run(settings: MoveInSettings) -> int:
    """Runs it; its exit status."""
    if isinstance(settings, MigrateConfigSettings):
        import bellmetal.cli.migrate.config

        return bellmetal.cli.migrate.config.main(settings)
    if isinstance(settings, MigrateCheckSettings):
        import bellmetal.cli.migrate.check

        return bellmetal.cli.migrate.check.main(settings)
    if isinstance(settings, MigrateProtectSettings):
        import bellmetal.cli.migrate.protect

        return bellmetal.cli.migrate.protect.main(settings)
    import bellmetal.cli.migrate.takeover

    return bellmetal.cli.migrate.takeover.main(settings)
