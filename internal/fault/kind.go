package fault

// Exit codes of the command line.
const (
	ExitOK       = 0
	ExitFailed   = 1
	ExitUsage    = 2 // found before anything was sent
	ExitNotFound = 3
	ExitRefused  = 4
)

// The kinds, each below its more general one.
const (
	ErrNotFound   Kind = "not_found"
	ErrNoRun      Kind = "no_run"
	ErrNoSweep    Kind = "no_sweep"
	ErrNoTemplate Kind = "no_template"
	ErrNoPreset   Kind = "no_preset"
	ErrNoFile     Kind = "no_file"
	ErrNoStorage  Kind = "no_storage"
	ErrNoUser     Kind = "no_user"
	ErrNoProject  Kind = "no_project"
	ErrNoToken    Kind = "no_token"
	ErrNoSession  Kind = "no_session"
	ErrNoSecret   Kind = "no_secret"

	ErrInvalid Kind = "invalid"

	// About who asks.
	ErrSignedOut    Kind = "signed_out"
	ErrForbidden    Kind = "forbidden"
	ErrSecondFactor Kind = "second_factor"
	ErrRateLimited  Kind = "rate_limited"

	ErrConflict       Kind = "conflict"
	ErrNotPossible    Kind = "not_possible" // whatever happens
	ErrKeyReused      Kind = "key_reused"
	ErrAlreadyEnded   Kind = "already_ended"
	ErrNotEnded       Kind = "not_ended"
	ErrNoteChanged    Kind = "note_changed"
	ErrOutdated       Kind = "outdated"
	ErrStorageRefused Kind = "storage_refused"
	ErrInUse          Kind = "in_use"

	ErrUnavailable        Kind = "unavailable"
	ErrNomadUnreachable   Kind = "nomad_unreachable"
	ErrStoreUnavailable   Kind = "store_unavailable"
	ErrStorageUnavailable Kind = "storage_unavailable"
	ErrArchiveUnavailable Kind = "archive_unavailable"
	ErrFull               Kind = "disk_full"
	ErrTimeout            Kind = "timeout"
	ErrInterrupted        Kind = "interrupted"
	ErrTooManyPages       Kind = "too_many_pages"
	ErrBusy               Kind = "busy"

	ErrNomadRefused Kind = "nomad_refused"
	ErrNomadDenied  Kind = "nomad_denied"
	ErrNamespace    Kind = "nomad_namespace"
	ErrDamaged      Kind = "store_damaged"
	ErrInternal     Kind = "internal"

	// About the request itself.
	ErrBadRequest  Kind = "bad_request"
	ErrTooLarge    Kind = "too_large"
	ErrTooSlow     Kind = "too_slow"
	ErrNotJSON     Kind = "not_json"
	ErrWrongMethod Kind = "wrong_method"
	ErrOtherOrigin Kind = "other_origin"
	ErrWrongHost   Kind = "wrong_host"
	ErrPlainHTTP   Kind = "plain_http"
	ErrNotSocket   Kind = "not_a_socket"

	// Of the command line alone.
	ErrUsage Kind = "usage"
	ErrLocal Kind = "local_failed"
)
