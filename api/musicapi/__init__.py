def register() -> None:
    from api.dialects import dialect_register
    from api.musicapi.dialect import DIALECT
    from api.musicapi.messages import MusicApiStyle
    from jobs.message_styles import style_register

    dialect_register(DIALECT)
    style_register(MusicApiStyle())
