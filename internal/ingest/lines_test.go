package ingest

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/logparse"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/store"
)

// placed reads a stream chunk by chunk, with a reader restored from its cursor before each, and says where each point is.
func placed(t *testing.T, formats []*logparse.SiteFormat, chunks ...string) string {
	t.Helper()
	var out []string
	cur, at := store.Cursor{}, int64(0)
	for _, text := range chunks {
		r := newLineReader(cur, 0, formats, slog.New(slog.DiscardHandler))
		for _, b := range r.feed(nomad.LogChunk{File: "f", Offset: at, Data: []byte(text)}, time.Now()) {
			for _, p := range b.Points {
				out = append(out, fmt.Sprintf("%s@%d=%v", p.Metric, p.Step, p.Value))
			}
			cur = b.To
		}
		at += int64(len(text))
	}
	return strings.Join(out, " ")
}

func TestPointsOfLinesWithoutAStepAreWhereTheStreamIs(t *testing.T) {
	t.Parallel()
	acme, err := logparse.ParseSiteFormat("acme: [{_}] it={step} l={loss}")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		chunks []string
		want   string
	}{
		{"a bar tells the step", []string{
			" 24%|██▍       | 2566/10485 [3:15:22<10:03:32,  4.57s/it]\n{'loss': 4.5, 'epoch': 0.24}\n",
			" 24%|██▍       | 2567/10485 [3:15:26<9:59:39,  4.54s/it]\r{'loss': 0.5, 'epoch': 0.25}\n",
		}, "loss@2566=4.5 epoch@2566=0.24 loss@2567=0.5 epoch@2567=0.25"},
		{"a bar of an evaluation does not", []string{
			" 24%|██▍       | 2566/10485 [3:15:22<10:03:32,  4.57s/it]\n", " 50%|█████     | 6/12 [00:22<00:32,  4.57s/it]\n{'eval_loss': 4.5, 'epoch': 0.24}\n",
		}, "eval_loss@2566=4.5 epoch@2566=0.24"},
		{"without any step reports are counted", []string{
			"{'loss': 3.0, 'epoch': 0.1}\n", "{'loss': 2.0, 'epoch': 0.2}\n{'eval_loss': 2.5, 'epoch': 0.2}\n", "{'loss': 1.0, 'epoch': 0.3}\n",
		}, "loss@1=3 epoch@1=0.1 loss@2=2 epoch@2=0.2 eval_loss@2=2.5 epoch@2=0.2 loss@3=1 epoch@3=0.3"},
		{"an evaluation before training does not hide its curve", []string{
			"{'eval_loss': 9.0, 'epoch': 0}\n{'loss': 3.0, 'epoch': 0.1}\n{'loss': 2.0, 'epoch': 0.2}\n",
		}, "eval_loss@1=9 epoch@1=0 loss@1=3 epoch@1=0.1 loss@2=2 epoch@2=0.2"},
		{"steps that start again with each epoch go on", []string{
			"Epoch [1][700/742]  lr: 1.0e-03, loss: 3.5\n", "Epoch [2][50/742]  lr: 1.0e-03, loss: 2.5\n",
		}, "learning_rate@700=0.001 loss@700=3.5 epoch@700=1 learning_rate@792=0.001 loss@792=2.5 epoch@792=2"},
		{"Keras tells the epoch before", []string{
			"Epoch 2/3\n", "10/10 [==============================] - 3s 2ms/step - loss: 0.25\n",
		}, "loss@20=0.25"},
		{"lines of a block belong to its first", []string{
			"[step=100/739328]\n    train/CrossEntropyLoss=7.5\n", "    optim/total_grad_norm=1.25\n",
		}, "loss@100=7.5 grad_norm@100=1.25"},
		{"a format of the site", []string{"[x] it=7 l=0.5 and more\n"}, "loss@7=0.5"},
		{"a machine line before the first step is nowhere", []string{"COTRAIN {\"v\":1,\"kind\":\"metrics\",\"loss\":1}\n"}, ""},
	} {
		if got := placed(t, []*logparse.SiteFormat{acme}, tt.chunks...); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func TestTheStateOfAStreamWithManyMetricsIsBounded(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&text, "{'loss': 1.0, 'metric_%d': 2.0, 'epoch': 1.0}\n", i)
	}
	r := newLineReader(store.Cursor{}, 0, nil, slog.New(slog.DiscardHandler))
	bs := r.feed(nomad.LogChunk{File: "f", Data: []byte(text.String())}, time.Now())
	if n := len(bs[len(bs)-1].To.Parser); n > 1024 {
		t.Errorf("%d bytes of state", n)
	}
	if r.count.Number != 5000 {
		t.Errorf("%d reports, want 5000", r.count.Number)
	}
}
