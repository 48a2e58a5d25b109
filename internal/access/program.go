package access

import "time"

// Program asks to be signed in as the person who enters its code in a browser. What it says about itself may be false.
type Program struct {
	Name    string // of its machine, as it says
	Scopes  []Scope
	Project string // "" for every project of the person
	Address string // from which it asks
	Expires time.Time
}

// ProgramCodes are what a program is told: the secret with which it asks whether it is signed in, and what the person enters.
type ProgramCodes struct {
	Secret, User string
	Every        time.Duration // how often it may ask
	Lifetime     time.Duration
}
