def register() -> None:
    from api.dialects import dialect_register
    from api.sunoapi.dialect import DIALECT
    from api.sunoapi.messages import STYLE
    from jobs.message_styles import style_register

    dialect_register(DIALECT)
    style_register(STYLE)
