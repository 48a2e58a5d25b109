package fault

import (
	"maps"
	"net/http"
	"slices"
)

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
)

// row describes a kind; the texts are for faults without their own.
type row struct {
	general          Kind // or ""
	status, exit     int
	temporary        bool
	title, what, fix string
}

var table = map[Kind]row{
	ErrNotFound:   {"", http.StatusNotFound, ExitNotFound, false, "Not found", "The address is wrong, or its subject has been deleted.", ""},
	ErrNoRun:      {ErrNotFound, http.StatusNotFound, ExitNotFound, false, "No such run", "There is no such run; it may have been deleted.", "List the runs to see which there are."},
	ErrNoSweep:    {ErrNotFound, http.StatusNotFound, ExitNotFound, false, "No such sweep", "There is no such sweep; it may have been deleted.", "List the sweeps to see which there are."},
	ErrNoTemplate: {ErrNotFound, http.StatusNotFound, ExitNotFound, false, "No such template", "There is no such template; it may have been deleted.", "List the templates to see which there are."},
	ErrNoPreset:   {ErrNotFound, http.StatusNotFound, ExitNotFound, false, "No such preset", "There is no such preset.", "List the templates and presets to see which there are."},
	ErrNoFile:     {ErrNotFound, http.StatusNotFound, ExitNotFound, false, "Not in shared storage", "The file does not exist, or has been deleted.", "List the folder that it was in."},
	ErrNoStorage:  {ErrNotFound, http.StatusNotFound, ExitNotFound, false, "Shared storage is off", "The console was started without shared storage.", "Set COTRAIN_STORAGE_PATH to the folder that all workers share, and start it again."},
	ErrNoUser:     {ErrNotFound, http.StatusNotFound, ExitNotFound, false, "No such user", "There is no such user; it may have been deleted.", "List the users to see which there are."},
	ErrNoProject:  {ErrNotFound, http.StatusNotFound, ExitNotFound, false, "No such project", "There is no such project; it may have been deleted.", "List the projects to see which there are."},
	ErrNoToken:    {ErrNotFound, http.StatusNotFound, ExitNotFound, false, "No such token", "There is no such API token; it may have been revoked.", "List the tokens to see which there are."},
	ErrNoSecret:   {ErrNotFound, http.StatusNotFound, ExitNotFound, false, "No such secret", "There is no registered secret of that name; it may have been removed.", "List the secrets to see which there are."},
	ErrNoSession:  {ErrNotFound, http.StatusNotFound, ExitNotFound, false, "No such session", "There is no such session; it may have ended.", "List the sessions to see which there are."},

	ErrInvalid: {"", http.StatusUnprocessableEntity, ExitRefused, false, "Invalid request", "Something in the request is invalid.", "Correct it and try again."},

	ErrSignedOut:    {"", http.StatusUnauthorized, ExitRefused, false, "Not signed in", "This needs a log-in, and the request has none that is valid.", "Sign in on the page, or with \"cotrain login\"; a program uses an API token (COTRAIN_TOKEN)."},
	ErrSecondFactor: {ErrSignedOut, http.StatusUnauthorized, ExitRefused, false, "Second factor needed", "The password is right, and a code of the second factor is missing.", "Enter it."},
	ErrForbidden:    {"", http.StatusForbidden, ExitRefused, false, "Not allowed", "You may not do that.", "Ask an admin of the project, or an administrator of the console, for the role."},
	ErrRateLimited:  {"", http.StatusTooManyRequests, ExitRefused, true, "Too many requests", "There were too many of these requests in a short time.", "Wait a little, then try again."},

	ErrConflict:       {"", http.StatusConflict, ExitRefused, false, "Not possible now", "The current state does not allow it.", "It may just have changed; reload and try again."},
	ErrNotPossible:    {ErrConflict, http.StatusConflict, ExitRefused, false, "Not possible", "That is not possible.", ""},
	ErrKeyReused:      {ErrConflict, http.StatusConflict, ExitRefused, false, "The key is taken", "The idempotency key belongs to an earlier submission with other settings.", "Use a new key, or repeat the earlier submission unchanged."},
	ErrAlreadyEnded:   {ErrConflict, http.StatusConflict, ExitRefused, false, "Already ended", "It has ended already.", "There is nothing left to stop."},
	ErrNoteChanged:    {ErrConflict, http.StatusConflict, ExitRefused, false, "The note was changed meanwhile", "Somebody else has changed the note.", "Read it again; nothing was changed."},
	ErrNotEnded:       {ErrConflict, http.StatusConflict, ExitRefused, false, "Not ended yet", "It has not ended.", "Stop it first, and wait until it has ended."},
	ErrOutdated:       {ErrConflict, http.StatusPreconditionFailed, ExitRefused, false, "Changed meanwhile", "It has changed since you loaded it.", "Review the change, then save again."},
	ErrStorageRefused: {ErrConflict, http.StatusConflict, ExitRefused, false, "The storage does not allow that", "Shared storage, as it is now, does not allow it.", ""},
	ErrInUse:          {ErrConflict, http.StatusConflict, ExitRefused, false, "In use", "Something else uses it.", "Stop that first."},

	ErrUnavailable:        {"", http.StatusServiceUnavailable, ExitFailed, true, "Not reachable right now", "Something that the console needs does not answer.", "It keeps trying; try again in a moment."},
	ErrNomadUnreachable:   {ErrUnavailable, http.StatusServiceUnavailable, ExitFailed, true, "Nomad unreachable", "The console cannot reach Nomad and keeps retrying. Training continues.", "Try again in a moment; if it persists, check Nomad and the console's NOMAD_ADDR."},
	ErrStoreUnavailable:   {ErrUnavailable, http.StatusServiceUnavailable, ExitFailed, true, "Database unavailable", "The console cannot read or write its database.", "Check the disk that holds its data folder (COTRAIN_DATA_DIR), and that the folder may be written; the console keeps trying."},
	ErrStorageUnavailable: {ErrUnavailable, http.StatusServiceUnavailable, ExitFailed, true, "Shared storage unavailable", "The folder that all workers share does not answer.", "Check its mount (COTRAIN_STORAGE_PATH) on the console's machine; try again in a moment."},
	ErrFull:               {ErrUnavailable, http.StatusInsufficientStorage, ExitFailed, false, "The disk is full", "The disk that holds the console's data folder is full, so nothing can be stored.", "Free space on it, or move the folder to a larger disk (COTRAIN_DATA_DIR); the console continues by itself once there is room."},
	ErrTimeout:            {ErrUnavailable, http.StatusServiceUnavailable, ExitFailed, true, "Timed out", "The console could not answer in time.", "Try again in a moment, or ask for less."},
	ErrInterrupted:        {ErrUnavailable, http.StatusServiceUnavailable, ExitFailed, true, "Interrupted", "The request ended before there was an answer.", "Try again."},
	ErrTooManyPages:       {ErrUnavailable, http.StatusServiceUnavailable, ExitFailed, true, "Too many live pages", "The console has reached its limit of live connections.", "Close some pages and try again."},
	ErrBusy:               {ErrUnavailable, http.StatusServiceUnavailable, ExitFailed, true, "Busy", "The console has too much of this to do at once.", "Try again in a moment."},

	ErrNomadRefused: {ErrInvalid, http.StatusBadGateway, ExitFailed, false, "Nomad rejected the job", "Nomad rejected the job.", "Fix the job file (COTRAIN_JOB_FILE) or the run's resources."},
	ErrNomadDenied:  {"", http.StatusBadGateway, ExitFailed, false, "Nomad rejected the token", "Nomad rejected the console's token, or the token lacks the rights.", "Give the console a token with the rights that it needs (NOMAD_TOKEN), and start it again: cotrain cluster check names what is missing."},
	ErrNamespace:    {"", http.StatusBadGateway, ExitFailed, false, "Nomad refuses the project's namespace", "The namespace of Nomad that the project has is not there, or the console may not use it.", "Make it (nomad namespace apply), and give the console's token its rights there."},
	ErrDamaged:      {"", http.StatusInternalServerError, ExitFailed, false, "The database is damaged", "The console cannot read its database: the file is damaged.", "Stop the console, keep a copy of its data folder, and restore cotrain.db from a backup."},
	ErrInternal:     {"", http.StatusInternalServerError, ExitFailed, false, "Something went wrong in the console", "This is a bug in the console, not your mistake.", "Trying again may help; the console's log has the details."},

	ErrBadRequest:  {"", http.StatusBadRequest, ExitRefused, false, "The request could not be read", "The request is malformed.", "Reload the page and try again."},
	ErrTooLarge:    {"", http.StatusRequestEntityTooLarge, ExitRefused, false, "Too large", "The request body exceeds the limit of this address.", "Send less."},
	ErrTooSlow:     {"", http.StatusRequestTimeout, ExitFailed, true, "Too slow", "The request body did not arrive in time.", "Try again."},
	ErrNotJSON:     {"", http.StatusUnsupportedMediaType, ExitRefused, false, "Not JSON", "The request body is not declared as JSON.", "Send JSON, with the header Content-Type: application/json."},
	ErrWrongMethod: {"", http.StatusMethodNotAllowed, ExitRefused, false, "Wrong method", "This address does not accept the method.", ""},
	ErrOtherOrigin: {"", http.StatusForbidden, ExitRefused, false, "From another site", "The request came from a page of another site; the console accepts only its own pages and programs.", "Open the console itself and try again."},
	ErrWrongHost:   {"", http.StatusMisdirectedRequest, ExitRefused, false, "Wrong host name", "The console does not answer to this name.", "Open it at a loopback address, such as http://127.0.0.1:8080."},
	ErrPlainHTTP:   {"", http.StatusForbidden, ExitRefused, false, "Not encrypted", "The console takes plain HTTP from its own machine and its proxy only: anybody on the way could read passwords and tokens.", "Use its https:// address."},
	ErrNotSocket:   {"", http.StatusUpgradeRequired, ExitRefused, false, "Not a page", "This address is for live connections, which pages open by themselves.", ""},
}

// row returns the kind's row, [ErrInternal]'s for an unknown one.
func (k Kind) row() row {
	if r, ok := table[k]; ok {
		return r
	}
	return table[ErrInternal]
}

// Known reports whether this program knows the kind: a newer one may answer.
func (k Kind) Known() bool { _, ok := table[k]; return ok }

// Kinds lists all kinds.
func Kinds() []Kind { return slices.Sorted(maps.Keys(table)) }
