import pytest

from config import errors


@pytest.mark.parametrize(
    ("error", "retry_after"),
    [
        (errors.Unavailable(), "5"),
        (errors.PaymentProviderFailed(), "5"),
        (errors.UploadInterrupted(), "1"),
        (errors.NoRoom(headers={"Retry-After": "2"}), "2"),
        # To come again helps nobody.
        (errors.ModelUnavailable(), None),
        (errors.PaymentsUnavailable(), None),
    ],
)
def test_what_may_be_there_again_soon_says_when_to_ask(
    error: errors.AppError, retry_after: str | None
):
    assert error.status == 503
    assert error.headers.get("Retry-After") == retry_after
