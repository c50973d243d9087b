"""The errors of `flags`, as a tree.

FlagsError
    MigrationError              the two services cannot become one
        ApiMismatchError        the candidate lacks an API of the primary, or has another schema
    ReadingError                `score`, `threshold`, `segments` or `features` cannot be read
        AnswerUnreadableError   an answer does not contain the declared score
        NonFiniteScoreError     a score is NaN or infinite
    FlagSourceError             the flag source gives no usable flags
        FlagsFileError          the flags file is missing or malformed
        FlagDocumentError       what the flag server sent is not a list of flags
    ThresholdPayloadError       the flag's payload holds no usable threshold
    SideStuckError              every thread of a side hangs beyond its time limit
    SideBusyError               a call waited in the queue for its whole time limit (TimeoutError)
    SideDownError               the candidate's process does not run, or ended during the call
    CallerLeftError             the caller disconnected before its stream had ended
    ServiceUnreachableError     no service answers in time, or it answers with a server error
    DestinationError            OpenTelemetry's variables name no usable OTLP/HTTP receiver
    NoMigrationEndpointError    the server has no endpoint for the state of its workers
    OtherFlagError              the service follows another flag than the one asked for
    OtherEnvironmentError       the service follows the flag in another environment
    AuditUnwritableError        a change cannot be written to the audit file
    PlaybookError               the playbook is missing, unreadable or invalid
    VariableMissingError        a `${NAME}` of the playbook is not in the environment
    AlarmUnknownError           the source of an operational alarm gives no usable answer
"""


class FlagsError(Exception):
    """Root of every error that this package raises on purpose."""


class MigrationError(FlagsError):
    """The two services cannot become one."""


class ApiMismatchError(MigrationError):
    """The candidate lacks an API of the primary, or one of its APIs has another schema."""


class ReadingError(FlagsError):
    """`score`, `threshold`, `segments` or `features` cannot be read."""


class AnswerUnreadableError(ReadingError):
    """An answer does not contain the declared score or number."""


class NonFiniteScoreError(ReadingError):
    """A score is NaN or infinite."""


class FlagSourceError(FlagsError):
    """The flag source gives no usable flags."""


class FlagsFileError(FlagSourceError):
    """The flags file is missing or malformed."""


class FlagDocumentError(FlagSourceError):
    """The content of a flag source is not a list of flags in Unleash's client-features format."""


class ThresholdPayloadError(FlagsError):
    """The payload of the flag's variant holds no usable threshold."""


class SideStuckError(FlagsError):
    """Every thread of a side hangs beyond its time limit, so the call was not started."""


class SideBusyError(FlagsError, TimeoutError):
    """A call waited in the queue for its whole time limit: the side was busy with others."""


class SideDownError(FlagsError):
    """The candidate's process does not run, or it ended before it answered."""


class CallerLeftError(FlagsError):
    """The caller disconnected before its stream had ended."""


class ServiceUnreachableError(FlagsError):
    """No service answers at the URL within the time limit, or it answers with a server error."""


class DestinationError(FlagsError):
    """OpenTelemetry's variables name no receiver to which pairs can be shipped."""


class NoMigrationEndpointError(FlagsError):
    """The server at the URL has no endpoint for the state of its workers."""


class OtherFlagError(FlagsError):
    """The service follows another flag than the one that was asked for."""


class OtherEnvironmentError(FlagsError):
    """The service follows the flag in another environment of Unleash than the command names."""


class AuditUnwritableError(FlagsError):
    """A change cannot be written to the audit file, or the file cannot be read."""


class PlaybookError(FlagsError):
    """The playbook is missing, cannot be read or written, or is invalid."""


class VariableMissingError(FlagsError):
    """A variable that the playbook names is not in the environment."""


class AlarmUnknownError(FlagsError):
    """The source of an operational alarm cannot be asked, or gives no usable answer."""
