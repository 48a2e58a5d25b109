package live

// What the tests of sockets look at.
const (
	MaxTopics        = maxTopics
	MaxClientMessage = maxClientMessage
	MaxSubscribes    = maxSubscribes
	RowsType         = rowsType
)
