// Package store persists runs and their history. All SQL is here and below: it stands on db (SQLite or PostgreSQL) and embeds
// points for metrics and accounts for users; storetest is the suite for any implementation. Raw log lines are rows until a run has about 1 MiB of
// them, then a compressed block in the archive.
//
// Runs, sweeps and templates are of a project, which never changes; keys of submissions and names of templates are unique in it. A
// query for no project in particular says so: the zero [run.Projects] finds nothing.
//
// # What orders transactions
//
// Where SQLite has one writer, PostgreSQL has these; the argument is in db, and races_test.go has each meet another.
//
//	CreateRun, CreateSweep          unique IDs and keys: the loser is repeated, and finds the key's run or sweep
//	these and SaveTemplate          a share of their project's row first, so that the project stays
//	Update                          lock of the run
//	Commit                          locks of its runs in the order of their IDs; a cursor is compared in its own row
//	RollUp (two transactions)       lock of the run each; what changes in between is marked as stale again
//	SealPoints, Seal                lock of the run; none of a deleted one
//	DeleteRun                       lock of the run by deleting it: whoever comes later finds none
//	StopSweep                       row of the sweep, then locks of those of its runs that are live by then, by ID
//	DeleteSweep                     row of the sweep; runs come with their sweep only
//	RegisterSecret                  unique name: the loser is a conflict
//	ChangeSecret, RemoveSecret      row of the secret
//	SaveTemplate, DeleteTemplate    lock of the first version; two first ones meet at their unique key
//	SetWaitReason, ReleaseDue       one statement that compares in the rows; a deadlock over several is repeated
//	SaveProgress, CompleteOrder     one statement on one row, which compares there
//	accounts: DeleteProject          row of the project before looking what is in it
//	accounts: what changes rights    row of access_revision, then that of the user; sessions and devices: row of their user, then of the passkey
//	accounts: SaveSeen, DropExpired  rows that are updated or deleted whole; a deadlock over several is repeated
//	auditlog.Append, Log.Index      lock of the log's end, the last one of a transaction
//	StartMeasurement                the unique key of the one that goes on: the loser is repeated, and finds it
//	SaveMeasurement, StopMeasurement  row of the measurement; one console writes those of nodes
//	SaveCauseRules                  the unique revision: the loser is repeated, and finds a newer one
//	SetLayout                       one row, whose last writer wins
//	orders, curve marks             ON CONFLICT merges in the row
//	Ping, Tidy                      rows that nobody else uses
//
// What is cached of committed rows (series, metric names, bounds, counts to seal) changes after the commit, when the run's
// lock is free: it is of rows that stay, or may be too high, or is taken out while a transaction uses it.
package store
