def register() -> None:
    from api.dialects import dialect_register
    from api.musicapi.dialect import DIALECT

    dialect_register(DIALECT)
