def register() -> None:
    from api.audiopod.dialect import DIALECT
    from api.dialects import dialect_register

    dialect_register(DIALECT)
