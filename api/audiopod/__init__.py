def register() -> None:
    from api.audiopod.dialect import DIALECT
    from api.audiopod.messages import STYLE
    from api.dialects import dialect_register
    from jobs.message_styles import style_register

    dialect_register(DIALECT)
    style_register(STYLE)
