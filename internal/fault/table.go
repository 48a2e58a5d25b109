package fault

import (
	"maps"
	"net/http"
	"slices"
)

// row is a kind's entry in the catalogue; what and fix are for faults without their own.
type row struct {
	general               Kind // or ""
	status, exit          int
	temporary             bool
	title, what, why, fix string
}

// table is the catalogue: every kind of error that a page, the API or the command line shows.
var table = map[Kind]row{
	ErrNotFound: {
		status: http.StatusNotFound, exit: ExitNotFound,
		title: "Not found",
		what:  "The address is wrong, or its subject has been deleted.",
		why:   "It may never have been there, it may have been deleted, or you may not see it: the console does not tell these apart.",
		fix:   "Go back to a list, and follow its link.",
	},
	ErrNoRun: {
		general: ErrNotFound, status: http.StatusNotFound, exit: ExitNotFound,
		title: "No such run",
		what:  "There is no such run; it may have been deleted.",
		why:   "The ID is mistyped, the run was deleted, or it belongs to a project in which you have no role.",
		fix:   "List the runs to see which there are.",
	},
	ErrNoSweep: {
		general: ErrNotFound, status: http.StatusNotFound, exit: ExitNotFound,
		title: "No such sweep",
		what:  "There is no such sweep; it may have been deleted.",
		why:   "The ID is mistyped, the sweep was deleted, or it belongs to a project in which you have no role.",
		fix:   "List the sweeps to see which there are.",
	},
	ErrNoTemplate: {
		general: ErrNotFound, status: http.StatusNotFound, exit: ExitNotFound,
		title: "No such template",
		what:  "There is no such template; it may have been deleted.",
		why:   "The name or version is mistyped, the template was deleted, or it belongs to a project in which you have no role.",
		fix:   "List the templates to see which there are.",
	},
	ErrNoPreset: {
		general: ErrNotFound, status: http.StatusNotFound, exit: ExitNotFound,
		title: "No such preset",
		what:  "There is no such preset.",
		why:   "Presets come with the program; another version may have other ones.",
		fix:   "List the templates and presets to see which there are.",
	},
	ErrNoFile: {
		general: ErrNotFound, status: http.StatusNotFound, exit: ExitNotFound,
		title: "Not in shared storage",
		what:  "The file does not exist, or has been deleted.",
		why:   "The path is mistyped, the file was deleted on shared storage, or retention or a later checkpoint took its place.",
		fix:   "List the folder that it was in.",
	},
	ErrNoStorage: {
		general: ErrNotFound, status: http.StatusNotFound, exit: ExitNotFound,
		title: "Shared storage is off",
		what:  "The console was started without shared storage.",
		why:   "Checkpoints and data sets can be looked at only in a folder that the console has mounted, too.",
		fix:   "Set COTRAIN_STORAGE_PATH to the folder that all workers share, and start it again.",
	},
	ErrNoUser: {
		general: ErrNotFound, status: http.StatusNotFound, exit: ExitNotFound,
		title: "No such user",
		what:  "There is no such user; it may have been deleted.",
		why:   "The name is mistyped, or an administrator has deleted the user.",
		fix:   "List the users to see which there are.",
	},
	ErrNoProject: {
		general: ErrNotFound, status: http.StatusNotFound, exit: ExitNotFound,
		title: "No such project",
		what:  "There is no such project; it may have been deleted.",
		why:   "The name is mistyped, the project was deleted, or you have no role in it.",
		fix:   "List the projects to see which there are.",
	},
	ErrNoToken: {
		general: ErrNotFound, status: http.StatusNotFound, exit: ExitNotFound,
		title: "No such token",
		what:  "There is no such API token; it may have been revoked.",
		why:   "The ID is mistyped, the token was revoked, or it belongs to somebody else.",
		fix:   "List the tokens to see which there are.",
	},
	ErrNoSecret: {
		general: ErrNotFound, status: http.StatusNotFound, exit: ExitNotFound,
		title: "No such secret",
		what:  "There is no registered secret of that name; it may have been removed.",
		why:   "The name is mistyped, the secret was removed, or it is that of a project in which you have no role.",
		fix:   "List the secrets to see which there are.",
	},
	ErrNoSession: {
		general: ErrNotFound, status: http.StatusNotFound, exit: ExitNotFound,
		title: "No such session",
		what:  "There is no such session; it may have ended.",
		why:   "It was ended, or it has expired; the list shows those that are open.",
		fix:   "List the sessions to see which there are.",
	},

	ErrInvalid: {
		status: http.StatusUnprocessableEntity, exit: ExitRefused,
		title: "Invalid request",
		what:  "Something in the request is invalid.",
		why:   "A field breaks a rule: the answer names field, value, rule, and what would pass.",
		fix:   "Correct it and try again.",
	},

	ErrSignedOut: {
		status: http.StatusUnauthorized, exit: ExitRefused,
		title: "Not signed in",
		what:  "This needs a log-in, and the request has none that is valid.",
		why:   "There was no session or token, or it has expired, was revoked, or belongs to a user who is disabled.",
		fix:   "Sign in on the page, or with \"cotrain login\"; a program uses an API token (COTRAIN_TOKEN).",
	},
	ErrSecondFactor: {
		general: ErrSignedOut, status: http.StatusUnauthorized, exit: ExitRefused,
		title: "Second factor needed",
		what:  "The password is right, and a code of the second factor is missing.",
		why:   "The account is protected by codes of an app, or by passkeys.",
		fix:   "Enter it.",
	},
	ErrForbidden: {
		status: http.StatusForbidden, exit: ExitRefused,
		title: "Not allowed",
		what:  "You may not do that.",
		why:   "Your roles do not include the right for it; \"cotrain whoami\" and your account's page list those that you have.",
		fix:   "Ask an admin of the project, or an administrator of the console, for the role.",
	},
	ErrRateLimited: {
		status: http.StatusTooManyRequests, exit: ExitRefused, temporary: true,
		title: "Too many requests",
		what:  "There were too many of these requests in a short time.",
		why:   "Each user and address may ask only so often, so that nobody guesses passwords or keeps the console busy.",
		fix:   "Wait a little, then try again.",
	},

	ErrConflict: {
		status: http.StatusConflict, exit: ExitRefused,
		title: "Not possible now",
		what:  "The current state does not allow it.",
		why:   "Its state has changed, or others depend on it.",
		fix:   "It may just have changed; reload and try again.",
	},
	ErrNotPossible: {
		general: ErrConflict, status: http.StatusConflict, exit: ExitRefused,
		title: "Not possible",
		what:  "That is not possible.",
		why:   "What was asked for contradicts what it is; waiting does not change that.",
		fix:   "Change what you ask for; the message names what is in the way.",
	},
	ErrKeyReused: {
		general: ErrConflict, status: http.StatusConflict, exit: ExitRefused,
		title: "The key is taken",
		what:  "The idempotency key belongs to an earlier submission with other settings.",
		why:   "A key stands for one submission, so that sending it twice starts one run.",
		fix:   "Use a new key, or repeat the earlier submission unchanged.",
	},
	ErrAlreadyEnded: {
		general: ErrConflict, status: http.StatusConflict, exit: ExitRefused,
		title: "Already ended",
		what:  "It has ended already.",
		why:   "It ended before the request arrived.",
		fix:   "There is nothing left to stop.",
	},
	ErrNoteChanged: {
		general: ErrConflict, status: http.StatusConflict, exit: ExitRefused,
		title: "The note was changed meanwhile",
		what:  "Somebody else has changed the note.",
		why:   "A note is saved only over the version that you read, so that no text is lost.",
		fix:   "Read it again; nothing was changed.",
	},
	ErrNotEnded: {
		general: ErrConflict, status: http.StatusConflict, exit: ExitRefused,
		title: "Not ended yet",
		what:  "It has not ended.",
		why:   "What still runs writes what would be changed or deleted.",
		fix:   "Stop it first, and wait until it has ended.",
	},
	ErrOutdated: {
		general: ErrConflict, status: http.StatusPreconditionFailed, exit: ExitRefused,
		title: "Changed meanwhile",
		what:  "It has changed since you loaded it.",
		why:   "A change is saved only over the version that you read, so that nobody's change is lost.",
		fix:   "Review the change, then save again.",
	},
	ErrStorageRefused: {
		general: ErrConflict, status: http.StatusConflict, exit: ExitRefused,
		title: "The storage does not allow that",
		what:  "Shared storage, as it is now, does not allow it.",
		why:   "The file system, its permissions, or what lies in the folder is in the way.",
		fix:   "Correct what the message names on shared storage, then try again.",
	},
	ErrInUse: {
		general: ErrConflict, status: http.StatusConflict, exit: ExitRefused,
		title: "In use",
		what:  "Something else uses it.",
		why:   "Taking it away would break what uses it.",
		fix:   "Stop that first.",
	},

	ErrUnavailable: {
		status: http.StatusServiceUnavailable, exit: ExitFailed, temporary: true,
		title: "Not reachable right now",
		what:  "Something that the console needs does not answer.",
		why:   "A service is down, restarts, or cannot be reached over the network.",
		fix:   "It keeps trying; try again in a moment.",
	},
	ErrNomadUnreachable: {
		general: ErrUnavailable, status: http.StatusServiceUnavailable, exit: ExitFailed, temporary: true,
		title: "Nomad unreachable",
		what:  "The console cannot reach Nomad and keeps retrying. Training continues.",
		why:   "Nomad's servers are down or elect a leader, the address is wrong, or the network is cut. Workers train on without the console.",
		fix:   "Try again in a moment; if it persists, check Nomad and the console's NOMAD_ADDR.",
	},
	ErrStoreUnavailable: {
		general: ErrUnavailable, status: http.StatusServiceUnavailable, exit: ExitFailed, temporary: true,
		title: "Database unavailable",
		what:  "The console cannot read or write its database.",
		why:   "The disk or the database server does not answer, or the folder may not be written.",
		fix:   "Check the disk that holds its data folder (COTRAIN_DATA_DIR), and that the folder may be written; the console keeps trying.",
	},
	ErrStorageUnavailable: {
		general: ErrUnavailable, status: http.StatusServiceUnavailable, exit: ExitFailed, temporary: true,
		title: "Shared storage unavailable",
		what:  "The folder that all workers share does not answer.",
		why:   "The mount hangs or is gone: the file server is down, or the network is cut.",
		fix:   "Check its mount (COTRAIN_STORAGE_PATH) on the console's machine; try again in a moment.",
	},
	ErrArchiveUnavailable: {
		general: ErrUnavailable, status: http.StatusServiceUnavailable, exit: ExitFailed, temporary: true,
		title: "Log archive unavailable",
		what:  "The archive of logs does not answer.",
		why:   "The S3 store that has the sealed blocks of logs is down, refuses the console's key, or the network is cut. New lines stay in the database meanwhile.",
		fix:   "Try again in a moment; if it persists, check the store and the settings logs.s3_* of the console.",
	},
	ErrFull: {
		general: ErrUnavailable, status: http.StatusInsufficientStorage, exit: ExitFailed,
		title: "The disk is full",
		what:  "The disk that holds the console's data folder is full, so nothing can be stored.",
		why:   "Metrics and logs grow with every run; deleting runs frees their part in the background.",
		fix:   "Free space on it, or move the folder to a larger disk (COTRAIN_DATA_DIR); the console continues by itself once there is room.",
	},
	ErrTimeout: {
		general: ErrUnavailable, status: http.StatusServiceUnavailable, exit: ExitFailed, temporary: true,
		title: "Timed out",
		what:  "The console could not answer in time.",
		why:   "The question was large, or the machine or a service behind it was busy.",
		fix:   "Try again in a moment, or ask for less.",
	},
	ErrInterrupted: {
		general: ErrUnavailable, status: http.StatusServiceUnavailable, exit: ExitFailed, temporary: true,
		title: "Interrupted",
		what:  "The request ended before there was an answer.",
		why:   "The client hung up, or the console was being stopped.",
		fix:   "Try again.",
	},
	ErrTooManyPages: {
		general: ErrUnavailable, status: http.StatusServiceUnavailable, exit: ExitFailed, temporary: true,
		title: "Too many live pages",
		what:  "The console has reached its limit of live connections.",
		why:   "Each open page holds a connection; their number is bounded, so that memory is.",
		fix:   "Close some pages and try again.",
	},
	ErrBusy: {
		general: ErrUnavailable, status: http.StatusServiceUnavailable, exit: ExitFailed, temporary: true,
		title: "Busy",
		what:  "The console has too much of this to do at once.",
		why:   "Costly work, such as checking passwords or compiling rules, is bounded, so that it cannot keep the console from the rest.",
		fix:   "Try again in a moment.",
	},

	ErrNomadRefused: {
		general: ErrInvalid, status: http.StatusBadGateway, exit: ExitFailed,
		title: "Nomad rejected the job",
		what:  "Nomad rejected the job.",
		why:   "The job that the console made from its job file asks for what this Nomad does not accept.",
		fix:   "Fix the job file (COTRAIN_JOB_FILE) or the run's resources.",
	},
	ErrNomadDenied: {
		status: http.StatusBadGateway, exit: ExitFailed,
		title: "Nomad rejected the token",
		what:  "Nomad rejected the console's token, or the token lacks the rights.",
		why:   "The token has expired, was revoked, or its policies lack a capability.",
		fix:   "Give the console a token with the rights that it needs (NOMAD_TOKEN), and start it again: cotrain cluster check names what is missing.",
	},
	ErrNamespace: {
		status: http.StatusBadGateway, exit: ExitFailed,
		title: "Nomad refuses the project's namespace",
		what:  "The namespace of Nomad that the project has is not there, or the console may not use it.",
		why:   "A project runs in a namespace of Nomad's, which somebody makes once, and for which the console's token needs rights.",
		fix:   "Make it (nomad namespace apply), and give the console's token its rights there.",
	},
	ErrDamaged: {
		status: http.StatusInternalServerError, exit: ExitFailed,
		title: "The database is damaged",
		what:  "The console cannot read its database: the file is damaged.",
		why:   "A disk failed, the file was copied while it was written, or something else wrote to it.",
		fix:   "Stop the console, keep a copy of its data folder, and restore cotrain.db from a backup.",
	},
	ErrInternal: {
		status: http.StatusInternalServerError, exit: ExitFailed,
		title: "Something went wrong in the console",
		what:  "This is a bug in the console, not your mistake.",
		why:   "The console met something that it does not expect. Runs are not affected.",
		fix:   "Trying again may help; the console's log has the details.",
	},

	ErrBadRequest: {
		status: http.StatusBadRequest, exit: ExitRefused,
		title: "The request could not be read",
		what:  "The request is malformed.",
		why:   "Something on the way changed or cut the request, or the program that sent it has a mistake.",
		fix:   "Reload the page and try again.",
	},
	ErrTooLarge: {
		status: http.StatusRequestEntityTooLarge, exit: ExitRefused,
		title: "Too large",
		what:  "The request body exceeds the limit of this address.",
		why:   "Every address has a limit, so that no request can fill the console's memory.",
		fix:   "Send less.",
	},
	ErrTooSlow: {
		status: http.StatusRequestTimeout, exit: ExitFailed, temporary: true,
		title: "Too slow",
		what:  "The request body did not arrive in time.",
		why:   "The connection is slow or was interrupted, and a request that does not end holds a place.",
		fix:   "Try again.",
	},
	ErrNotJSON: {
		status: http.StatusUnsupportedMediaType, exit: ExitRefused,
		title: "Not JSON",
		what:  "The request body is not declared as JSON.",
		why:   "A browser can send other types for a foreign page without asking, so the API takes JSON only.",
		fix:   "Send JSON, with the header Content-Type: application/json.",
	},
	ErrWrongMethod: {
		status: http.StatusMethodNotAllowed, exit: ExitRefused,
		title: "Wrong method",
		what:  "This address does not accept the method.",
		why:   "The path exists, and the request is a GET where it takes a POST, or the other way round.",
		fix:   "Use a method of the header Allow; the API's document lists them.",
	},
	ErrOtherOrigin: {
		status: http.StatusForbidden, exit: ExitRefused,
		title: "From another site",
		what:  "The request came from a page of another site; the console accepts only its own pages and programs.",
		why:   "Without this check, any site could act in your name with your browser's session.",
		fix:   "Open the console itself and try again.",
	},
	ErrWrongHost: {
		status: http.StatusMisdirectedRequest, exit: ExitRefused,
		title: "Wrong host name",
		what:  "The console does not answer to this name.",
		why:   "Without this check, a foreign name that leads here could read the console from your browser (DNS rebinding).",
		fix:   "Open it at a loopback address, such as http://127.0.0.1:8080.",
	},
	ErrPlainHTTP: {
		status: http.StatusForbidden, exit: ExitRefused,
		title: "Not encrypted",
		what:  "The console takes plain HTTP from its own machine and its proxy only: anybody on the way could read passwords and tokens.",
		why:   "The console was started with TLS or behind a proxy that ends it.",
		fix:   "Use its https:// address.",
	},
	ErrNotSocket: {
		status: http.StatusUpgradeRequired, exit: ExitRefused,
		title: "Not a page",
		what:  "This address is for live connections, which pages open by themselves.",
		why:   "The request did not ask to become a WebSocket; a proxy may have removed the header Upgrade.",
		fix:   "Open the page instead; if its live parts stay empty, let the proxy pass the header Upgrade.",
	},

	ErrUsage: {
		status: http.StatusBadRequest, exit: ExitUsage,
		title: "Not understood",
		what:  "The command line, the environment or a file that they name has a mistake; nothing was sent or changed.",
		why:   "A flag, setting or file is misspelt, missing, or contradicts another; the message names it.",
		fix:   "Correct it; each command explains its flags with --help, and docs/settings.md all settings.",
	},
	ErrLocal: {
		status: http.StatusInternalServerError, exit: ExitFailed,
		title: "Failed on this machine",
		what:  "The command could not do its work on this machine.",
		why:   "A file, port, disk or program here did not do what the command needs; the message says which.",
		fix:   "Correct what the message names, and run it again.",
	},
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
