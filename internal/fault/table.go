package fault

import (
	"maps"
	"net/http"
	"slices"
)

// Exit codes of the program.
const (
	ExitDone     = 0
	ExitFailed   = 1
	ExitUsage    = 2 // bad usage: found before anything was asked
	ExitNotFound = 3
	ExitRefused  = 4
)

// The kinds. A kind that belongs to another is below it.
const (
	ErrNotFound   Kind = "not_found"
	ErrNoRun      Kind = "no_run"
	ErrNoSweep    Kind = "no_sweep"
	ErrNoTemplate Kind = "no_template"
	ErrNoPreset   Kind = "no_preset"
	ErrNoFile     Kind = "no_file"
	ErrNoStorage  Kind = "no_storage"

	ErrInvalid Kind = "invalid"

	ErrConflict Kind = "conflict"
	ErrReused   Kind = "key_reused"
	ErrEnded    Kind = "already_ended"
	ErrLive     Kind = "not_ended"
	ErrOutdated Kind = "outdated"
	ErrRefused  Kind = "storage_refused"
	ErrInUse    Kind = "in_use"

	ErrUnavailable Kind = "unavailable"
	ErrNomadAway   Kind = "nomad_unreachable"
	ErrStoreAway   Kind = "store_unavailable"
	ErrStorageAway Kind = "storage_unavailable"
	ErrFull        Kind = "disk_full"
	ErrTimeout     Kind = "timeout"
	ErrInterrupted Kind = "interrupted"
	ErrTooMany     Kind = "too_many_pages"

	ErrNomadRefused Kind = "nomad_refused"
	ErrNomadDenied  Kind = "nomad_denied"
	ErrDamaged      Kind = "store_damaged"
	ErrInternal     Kind = "internal"

	// About the request itself.
	ErrBadRequest Kind = "bad_request"
	ErrTooLarge   Kind = "too_large"
	ErrTooSlow    Kind = "too_slow"
	ErrMedia      Kind = "not_json"
	ErrMethod     Kind = "wrong_method"
	ErrOrigin     Kind = "other_origin"
	ErrHost       Kind = "wrong_host"
	ErrUpgrade    Kind = "not_a_socket"
)

// row is what a kind means: how an answer and a command end, and the words where the fault has none of its own.
type row struct {
	general         Kind // the kind that this one belongs to
	status, exit    int
	passes          bool
	title, what, do string
}

var table = map[Kind]row{
	ErrNotFound:   {"", http.StatusNotFound, ExitNotFound, false, "There is nothing here", "The address is wrong, or what it named has been deleted.", ""},
	ErrNoRun:      {ErrNotFound, http.StatusNotFound, ExitNotFound, false, "No such run", "There is no such run; it may have been deleted.", "List the runs to see which there are."},
	ErrNoSweep:    {ErrNotFound, http.StatusNotFound, ExitNotFound, false, "No such sweep", "There is no such sweep; it may have been deleted.", "List the sweeps to see which there are."},
	ErrNoTemplate: {ErrNotFound, http.StatusNotFound, ExitNotFound, false, "No such template", "There is no such template; it may have been deleted.", "List the templates to see which there are."},
	ErrNoPreset:   {ErrNotFound, http.StatusNotFound, ExitNotFound, false, "No such preset", "There is no such preset.", "List the templates and presets to see which there are."},
	ErrNoFile:     {ErrNotFound, http.StatusNotFound, ExitNotFound, false, "Not in shared storage", "The file does not exist, or has been deleted.", "List the folder that it was in."},
	ErrNoStorage:  {ErrNotFound, http.StatusNotFound, ExitNotFound, false, "Shared storage is off", "The console was started without shared storage.", "Set COTRAIN_STORAGE_PATH to the folder that all workers share, and start it again."},

	ErrInvalid: {"", http.StatusUnprocessableEntity, ExitRefused, false, "Invalid request", "Something in the request is not valid.", "Correct it and try again."},

	ErrConflict: {"", http.StatusConflict, ExitRefused, false, "Not possible now", "The present state does not allow it.", "It may just have changed: look again and decide."},
	ErrReused:   {ErrConflict, http.StatusConflict, ExitRefused, false, "The key is taken", "The idempotency key belongs to an earlier submission with other settings.", "Use a new key, or repeat the earlier submission unchanged."},
	ErrEnded:    {ErrConflict, http.StatusConflict, ExitRefused, false, "Already ended", "It has ended already.", "There is nothing left to stop."},
	ErrLive:     {ErrConflict, http.StatusConflict, ExitRefused, false, "Not ended yet", "It has not ended.", "Stop it first, and wait until it has ended."},
	ErrOutdated: {ErrConflict, http.StatusPreconditionFailed, ExitRefused, false, "Somebody was faster", "It has changed since you looked.", "Look at it, and decide whether to save."},
	ErrRefused:  {ErrConflict, http.StatusConflict, ExitRefused, false, "The storage does not allow that", "Shared storage, as it is now, does not allow it.", ""},
	ErrInUse:    {ErrConflict, http.StatusConflict, ExitRefused, false, "In use", "Something else uses it.", "Stop that first."},

	ErrUnavailable: {"", http.StatusServiceUnavailable, ExitFailed, true, "Not reachable right now", "Something that the console needs does not answer.", "It keeps trying; try again in a moment."},
	ErrNomadAway:   {ErrUnavailable, http.StatusServiceUnavailable, ExitFailed, true, "Nomad does not answer", "The console cannot reach Nomad, and keeps trying. Runs that are training go on.", "Try again in a moment; if it stays so, check Nomad and the NOMAD_ADDR of the console."},
	ErrStoreAway:   {ErrUnavailable, http.StatusServiceUnavailable, ExitFailed, true, "The store does not answer", "The console cannot read or write its database.", "Check the disk that holds its data folder (COTRAIN_DATA_DIR), and that the folder may be written; the console keeps trying."},
	ErrStorageAway: {ErrUnavailable, http.StatusServiceUnavailable, ExitFailed, true, "Shared storage does not answer", "The folder that all workers share does not answer.", "Check its mount (COTRAIN_STORAGE_PATH) on the console's machine; try again in a moment."},
	ErrFull:        {ErrUnavailable, http.StatusInsufficientStorage, ExitFailed, false, "The disk is full", "The disk that holds the console's data folder is full, so nothing can be stored.", "Free space on it, or move the folder to a larger disk (COTRAIN_DATA_DIR); the console goes on by itself when there is room."},
	ErrTimeout:     {ErrUnavailable, http.StatusServiceUnavailable, ExitFailed, true, "That took too long", "The console could not answer in time.", "Try again in a moment, or ask for less."},
	ErrInterrupted: {ErrUnavailable, http.StatusServiceUnavailable, ExitFailed, true, "Interrupted", "The request ended before there was an answer.", "Try again."},
	ErrTooMany:     {ErrUnavailable, http.StatusServiceUnavailable, ExitFailed, true, "Too many live pages are open", "The console serves no more live connections.", "Close some pages and try again."},

	ErrNomadRefused: {ErrInvalid, http.StatusBadGateway, ExitFailed, false, "Nomad refuses the job", "Nomad does not take the job.", "Correct the job file (COTRAIN_JOB_FILE), or what the run asks of the cluster."},
	ErrNomadDenied:  {"", http.StatusBadGateway, ExitFailed, false, "Nomad refuses the token", "Nomad does not accept the console's token, or the token may not do this.", "Give the console a token with the rights that the README lists (NOMAD_TOKEN), and start it again."},
	ErrDamaged:      {"", http.StatusInternalServerError, ExitFailed, false, "The database is damaged", "The console cannot read its database: the file is damaged.", "Stop the console, keep a copy of its data folder, and restore cotrain.db from a backup."},
	ErrInternal:     {"", http.StatusInternalServerError, ExitFailed, false, "Something went wrong in the console", "It is a mistake of the console, not yours.", "Trying again may help; its log says more."},

	ErrBadRequest: {"", http.StatusBadRequest, ExitRefused, false, "The request could not be read", "What was sent is not what the address takes.", "Load the page again, and send it once more."},
	ErrTooLarge:   {"", http.StatusRequestEntityTooLarge, ExitRefused, false, "Too large", "The body of the request is larger than the address takes.", "Send less."},
	ErrTooSlow:    {"", http.StatusRequestTimeout, ExitFailed, true, "Too slow", "The body of the request did not arrive in time.", "Try again."},
	ErrMedia:      {"", http.StatusUnsupportedMediaType, ExitRefused, false, "Not JSON", "The body of the request is not marked as JSON.", "Send JSON, with the header Content-Type: application/json."},
	ErrMethod:     {"", http.StatusMethodNotAllowed, ExitRefused, false, "Wrong method", "The address exists and does not take this kind of request.", ""},
	ErrOrigin:     {"", http.StatusForbidden, ExitRefused, false, "From another site", "The request came from a page of another site; the console takes them from its own pages and from programs.", "Open the console itself and try again."},
	ErrHost:       {"", http.StatusMisdirectedRequest, ExitRefused, false, "Wrong host name", "The console does not answer to this name.", "Open it at a loopback address, such as http://127.0.0.1:8080."},
	ErrUpgrade:    {"", http.StatusUpgradeRequired, ExitRefused, false, "Not a page", "This address is for live connections, which pages open by themselves.", ""},
}

// row returns what the kind means; one that this program does not know means [ErrInternal].
func (k Kind) row() row {
	if r, ok := table[k]; ok {
		return r
	}
	return table[ErrInternal]
}

// Known reports whether k is a kind of this program: an answer may come from a newer one.
func (k Kind) Known() bool { _, ok := table[k]; return ok }

// Kinds lists every kind.
func Kinds() []Kind { return slices.Sorted(maps.Keys(table)) }
