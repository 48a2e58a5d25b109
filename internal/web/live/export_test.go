package live

// What the tests of sockets look at.
const (
	MaxClientMessage = maxClientMessage
	MaxSubscribes    = maxSubscribes
	RowsType         = rowsType
)
