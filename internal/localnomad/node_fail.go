package localnomad

import (
	"fmt"

	"github.com/hashicorp/nomad/api"
)

// FailNode makes a node fail, as if its machine had lost power: its processes
// die at once, it is down, and the scheduler deals with its allocations: they
// are lost, or unknown where the group says disconnect { replace = false }.
func (s *Server) FailNode(nameOrID string) error {
	n, err := s.findNode(nameOrID)
	if err != nil {
		return err
	}
	for _, r := range s.runners.all() {
		if r.alloc.NodeID == n.ID {
			r.abandon()
			<-r.done
		}
	}
	status := nodeDown
	s.st.view(func() {
		for _, a := range s.st.nodeAllocs(n.ID) {
			if !clientTerminal(a) && disconnectTime(a) > 0 {
				status = nodeDisconnected // as a server has it: it may come back with its allocations
			}
		}
	})
	if err := s.setNodeStatus(n.ID, status, "Node heartbeat missed"); err != nil {
		return err
	}
	s.sched.enqueue(s.evalsForNode(n.ID)...)
	return nil
}

// RestoreNode brings a failed node back. Allocations that were unknown while
// it was away are lost now: their processes died with it.
func (s *Server) RestoreNode(nameOrID string) error {
	n, err := s.findNode(nameOrID)
	if err != nil {
		return err
	}
	var unknown []*api.Allocation
	s.st.view(func() {
		for _, a := range s.st.nodeAllocs(n.ID) {
			if !clientTerminal(a) {
				unknown = append(unknown, a)
			}
		}
	})
	for _, a := range unknown {
		s.dropServices(a.ID)
	}
	evals, err := s.loseAllocs(unknown, lostWithNode)
	if err != nil {
		return err
	}
	if err := s.setNodeStatus(n.ID, nodeReady, "Node reregistered by heartbeat"); err != nil {
		return err
	}
	s.sched.enqueue(evals...)
	s.sched.unblock()
	return nil
}

func (s *Server) findNode(nameOrID string) (*api.Node, error) {
	s.st.mu.RLock()
	defer s.st.mu.RUnlock()
	for _, n := range s.st.nodes {
		if n.ID == nameOrID || n.Name == nameOrID {
			return n, nil
		}
	}
	return nil, fmt.Errorf("localnomad: no node %q", nameOrID)
}

func (s *Server) setNodeStatus(id, status, message string) error {
	now := s.now()
	_, err := s.st.update(kindOfNodeStatus, now.UnixNano(), func(tx *txn) error {
		c := *s.st.nodes[id]
		c.Status, c.StatusUpdatedAt = status, now.Unix()
		c.Events = append(c.Events[max(0, len(c.Events)-9):len(c.Events):len(c.Events)],
			&api.NodeEvent{Message: message, Subsystem: "Cluster", Timestamp: now.UTC(), CreateIndex: tx.index})
		tx.putNode(&c)
		return nil
	})
	return err
}

// evalsForNode stores an evaluation for each job that has something on a node.
func (s *Server) evalsForNode(nodeID string) []*api.Evaluation {
	var evals []*api.Evaluation
	_, err := s.st.update(kindOfEval, s.now().UnixNano(), func(tx *txn) error {
		seen := map[string]bool{}
		for _, a := range s.st.nodeAllocs(nodeID) {
			job := s.st.jobs[a.JobID]
			if job == nil || seen[a.JobID] || clientTerminal(a) {
				continue
			}
			seen[a.JobID] = true
			e := s.newEval(job, triggerNode)
			e.NodeID = nodeID
			tx.putEval(e)
			evals = append(evals, e)
		}
		return nil
	})
	if err != nil {
		s.log.Error("store evaluations", "node", nodeID, "error", err)
	}
	return evals
}
