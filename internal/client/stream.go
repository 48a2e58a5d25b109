package client

// StreamQuery says which topics to follow, and from where on; docs/stream.md tells what comes.
type StreamQuery struct {
	Topics      []string `query:"topics" required:"true" minItems:"1" maxItems:"16" doc:"Topics, separated by commas: run:ID, training:ID, sweep:ID, runs, runs:PROJECT, training, system"`
	Since       string   `query:"since" maxLength:"2048" doc:"The id of the last event that was seen; without it, or without one of the topics in it, from now on"`
	LastEventID string   `header:"Last-Event-ID" maxLength:"2048" doc:"The same, as clients send it that connect again; it counts before since"`
}
