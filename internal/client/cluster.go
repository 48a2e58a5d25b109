package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/run"
)

// System is whether what the console depends on works.
type System struct {
	Nomad   string `json:"nomad" doc:"ok or unreachable"`
	Store   string `json:"store" doc:"ok or failing"`
	Message string `json:"message" doc:"What is wrong and what comes of it, in a sentence or two; empty when all is well"`

	Charts CacheStats `json:"charts" doc:"The cache of answers to charts"`
}

// CacheStats is what a cache has done since the console started.
type CacheStats struct {
	Requests  int64 `json:"requests"`
	Unchanged int64 `json:"unchanged" doc:"Answered with 304: the client had it"`
	Hits      int64 `json:"hits" doc:"Answered from the cache"`
	Entries   int   `json:"entries"`
	Bytes     int64 `json:"bytes"`
	Limit     int64 `json:"limit" doc:"The most bytes kept; the least recently used go first"`
}

// System reads how the console is.
func (c *Client) System(ctx context.Context) (System, error) {
	return get[System](ctx, c, "/api/v1/system", nil)
}

// NodeList is the nodes of the cluster.
type NodeList struct {
	Items  []run.Node     `json:"items" nullable:"false"`
	Consul *ConsulCatalog `json:"consul,omitempty" doc:"On a console with Consul"`
}

// ConsulCatalog is how fresh what Consul says of nodes is, and what it has beside Nomad's.
type ConsulCatalog struct {
	At      *time.Time       `json:"at,omitempty" doc:"When Consul said so last; absent for never"`
	Problem string           `json:"problem,omitempty" doc:"Why it is old or not whole"`
	Stale   []run.ConsulNode `json:"stale" nullable:"false" doc:"Entries of Nomad clients that fail, and that Nomad does not have"`
}

// Nodes lists the nodes of the cluster.
func (c *Client) Nodes(ctx context.Context) (NodeList, error) {
	return get[NodeList](ctx, c, "/api/v1/nodes", nil)
}

const measurementsPath = "/api/v1/cluster/measurements"

// MeasureInput says which nodes are measured: all that take work, unless it says more.
type MeasureInput struct {
	Nodes []string `json:"nodes,omitempty" maxItems:"256" doc:"Names or IDs"`
	Site  string   `json:"site,omitempty" maxLength:"200" doc:"Datacenter"`
}

// Measured is the newest that is known of the nodes and the network between them.
type Measured struct {
	Last     *measure.Measurement `json:"last,omitempty" doc:"The measurement that was started last"`
	Nodes    []measure.Report     `json:"nodes" nullable:"false" doc:"What each node found, by site and name; each value is the newest, whichever measurement it is of"`
	Problems []measure.Issue      `json:"problems" nullable:"false"`
}

// Measure starts a measurement.
func (c *Client) Measure(ctx context.Context, in MeasureInput) (out measure.Measurement, err error) {
	return out, c.send(ctx, http.MethodPost, measurementsPath, in, &out)
}

// StopMeasurement ends a measurement.
func (c *Client) StopMeasurement(ctx context.Context, id string) error {
	return c.send(ctx, http.MethodPost, measurementsPath+"/"+url.PathEscape(id)+"/stop", nil, nil)
}

// Measured reads what is known.
func (c *Client) Measured(ctx context.Context) (Measured, error) {
	return get[Measured](ctx, c, measurementsPath, nil)
}
