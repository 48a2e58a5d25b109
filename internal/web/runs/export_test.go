package runs

// For the tests of pages that are full.
const (
	EventsShown = eventsShown
	ListSize    = listSize
	OpenedShown = openedShown
)
