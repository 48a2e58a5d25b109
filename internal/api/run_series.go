package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/trainconf"
)

type readSeriesInput struct {
	ID          string   `path:"id" doc:"ID of the run, such as r-0123456789"`
	IfNoneMatch []string `header:"If-None-Match" doc:"ETag of what the client has: if it is still so, the answer is 304 without a body"`
	client.SeriesQuery
}

type readSeriesOutput struct {
	Status       int
	ETag         string `header:"ETag"`
	CacheControl string `header:"Cache-Control"`
	ContentType  string `header:"Content-Type"`
	Body         []byte
}

// readSeries answers as charts are answered.
func (s *server) readSeries(ctx context.Context, in *readSeriesInput) (*readSeriesOutput, error) {
	r, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	v := url.Values{"metric": in.Metric, "px": {strconv.Itoa(in.Columns)}}
	for name, text := range map[string]string{"x": in.X, "from": in.From, "to": in.To, "smooth": in.Smooth, "workers": in.Workers} {
		v.Set(name, text)
	}
	q, err := chart.ParseQuery(v)
	if fields := trainconf.AsFieldErrors(err); fields != nil {
		for i, f := range fields {
			if f.Field == "formula" { // which has no parameter of its own
				fields[i].Field, fields[i].Value = "metric", "="+f.Value
			}
		}
		return nil, invalid("query", fields...)
	}
	out := &readSeriesOutput{Status: http.StatusOK, CacheControl: "private, no-cache", ContentType: "application/json"}
	out.ETag, out.Body, err = s.Cache.Answer(ctx, s.Details, r, q, func(tag string) bool { return matches(in.IfNoneMatch, tag) })
	if err == nil && out.Body == nil {
		out.Status = http.StatusNotModified
	}
	return out, err
}
