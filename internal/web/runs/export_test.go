package runs

// For the tests of pages that are full.
const (
	DownloadPage = downloadPage
	EventsShown  = eventsShown
	ListSize     = listSize
	OpenedShown  = openedShown
)
