package localnomad

import (
	"fmt"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
	"github.com/cotrain/cotrain/internal/localnomad/task"
)

// FailNode makes a node fail, as if its machine had lost power: its processes die at once, it is down, and the scheduler
// deals with its allocations: they are lost, or unknown where the group says disconnect { replace = false }.
func (s *Server) FailNode(nameOrID string) error {
	n, live, err := s.findNode(nameOrID)
	if err != nil {
		return err
	}
	s.runners.FailNode(n.ID)
	var evals []*api.Evaluation
	_, err = s.store.Update(state.NodeStatus, func(tx *state.Tx) error {
		c := *tx.Nodes[n.ID]
		c.Status, c.StatusUpdatedAt = api.NodeStatusDown, tx.Now.Unix()
		seen := map[string]bool{}
		for _, a := range live {
			if state.LostAfter(a) > 0 {
				c.Status = api.NodeStatusDisconnected // as a server has it: it may come back with its allocations
			}
			if job := tx.Jobs[a.JobID]; job != nil && !seen[a.JobID] {
				seen[a.JobID] = true
				e := state.NewEval(job, state.TriggerNode)
				e.NodeID = n.ID
				tx.PutEval(e)
				evals = append(evals, e)
			}
		}
		tx.PutNode(&c)
		return nil
	})
	s.sched.Enqueue(evals...)
	return err
}

// RestoreNode brings a failed node back. Allocations that were unknown while it was away are lost now: their processes died
// with it.
func (s *Server) RestoreNode(nameOrID string) error {
	n, unknown, err := s.findNode(nameOrID)
	if err != nil {
		return err
	}
	evals, err := s.store.LoseAll(unknown, task.LostWithNode)
	if err != nil {
		return err
	}
	_, err = s.store.Update(state.NodeStatus, func(tx *state.Tx) error {
		c := *tx.Nodes[n.ID]
		c.Status, c.StatusUpdatedAt = api.NodeStatusReady, tx.Now.Unix()
		tx.PutNode(&c)
		return nil
	})
	s.sched.Enqueue(evals...)
	s.sched.Unblock()
	return err
}

// findNode returns a node and its allocations that have not ended.
func (s *Server) findNode(nameOrID string) (n *api.Node, live []*api.Allocation, err error) {
	s.store.View(func(t *state.Tables) {
		for _, other := range t.Nodes {
			if other.ID == nameOrID || other.Name == nameOrID {
				n = other
			}
		}
		if n == nil {
			err = fmt.Errorf("localnomad: no node %q", nameOrID)
			return
		}
		for _, a := range t.NodeAllocs(n.ID) {
			if !state.ClientTerminal(a) {
				live = append(live, a)
			}
		}
	})
	return n, live, err
}
