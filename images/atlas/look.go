package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// lookAt is what comes before the number of a session that a runner wants to be looked at.
const lookAt = "look "

// looked is what MySQL says of a session, as one line of JSON. What it does not say is left out.
type looked struct {
	State    string    `json:"state"`
	Waits    bool      `json:"waits"`
	Relation string    `json:"relation,omitempty"`
	Mode     string    `json:"mode,omitempty"`
	Blockers []blocker `json:"blockers,omitempty"`
	// How far a change of a table is, in percent: only MariaDB says so.
	Percent *float64 `json:"percent,omitempty"`
}

// blocker is a session that holds the lock.
type blocker struct {
	ID      int64  `json:"pid"`
	User    string `json:"user,omitempty"`
	Host    string `json:"client,omitempty"`
	State   string `json:"state,omitempty"`
	Seconds int64  `json:"seconds"`
	// Query is as it was sent: the runner masks it.
	Query string `json:"statement,omitempty"`
}

const (
	stateOfSession = `SELECT COALESCE(STATE, '') FROM information_schema.PROCESSLIST WHERE ID = ?`
	// In percent of the whole; a stage that cannot tell is the beginning of itself.
	percentOfSession  = `SELECT (STAGE - 1 + PROGRESS / 100) / MAX_STAGE * 100 FROM information_schema.PROCESSLIST WHERE ID = ? AND MAX_STAGE > 0`
	blockersOfSession = `
SELECT holder.PROCESSLIST_ID, COALESCE(holder.PROCESSLIST_USER, ''), COALESCE(holder.PROCESSLIST_HOST, ''),
  COALESCE(holder.PROCESSLIST_COMMAND, ''), COALESCE(holder.PROCESSLIST_TIME, 0), COALESCE(LEFT(holder.PROCESSLIST_INFO, 2000), ''),
  MIN(COALESCE(held.OBJECT_NAME, '')), MIN(wanted.LOCK_TYPE)
FROM performance_schema.threads AS waiter
JOIN performance_schema.metadata_locks AS wanted ON wanted.OWNER_THREAD_ID = waiter.THREAD_ID AND wanted.LOCK_STATUS = 'PENDING'
JOIN performance_schema.metadata_locks AS held ON held.LOCK_STATUS = 'GRANTED' AND held.OBJECT_TYPE = wanted.OBJECT_TYPE
  AND held.OBJECT_SCHEMA <=> wanted.OBJECT_SCHEMA AND held.OBJECT_NAME <=> wanted.OBJECT_NAME
  AND held.OWNER_THREAD_ID <> waiter.THREAD_ID
JOIN performance_schema.threads AS holder ON holder.THREAD_ID = held.OWNER_THREAD_ID
WHERE waiter.PROCESSLIST_ID = ? AND holder.PROCESSLIST_ID IS NOT NULL
GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 5 DESC, 1 LIMIT 5`
)

// answer writes what MySQL says of the session that a line names. A look that fails says nothing: the run does not depend on it.
func (s *server) answer(ctx context.Context, line string, out io.Writer) {
	number, found := strings.CutPrefix(line, lookAt)
	id, err := strconv.ParseInt(number, 10, 64)
	if !found || err != nil {
		return
	}
	text, err := json.Marshal(s.look(ctx, id))
	if err != nil {
		text = []byte("{}")
	}
	fmt.Fprintln(out, string(text))
}

func (s *server) look(ctx context.Context, id int64) looked {
	var l looked
	if err := s.session.QueryRowContext(ctx, stateOfSession, id).Scan(&l.State); err != nil {
		return l
	}
	l.Waits = strings.HasPrefix(l.State, "Waiting for ") && strings.HasSuffix(l.State, " lock")
	if l.Waits {
		s.lookForBlockers(ctx, id, &l)
		return l
	}
	var percent sql.NullFloat64
	if err := s.session.QueryRowContext(ctx, percentOfSession, id).Scan(&percent); err == nil && percent.Valid {
		l.Percent = &percent.Float64
	}
	return l
}

// lookForBlockers needs performance_schema, and the right to read it.
func (s *server) lookForBlockers(ctx context.Context, id int64, l *looked) {
	rows, err := s.session.QueryContext(ctx, blockersOfSession, id)
	if err != nil {
		return
	}
	defer rows.Close()
	for rows.Next() {
		var b blocker
		if rows.Scan(&b.ID, &b.User, &b.Host, &b.State, &b.Seconds, &b.Query, &l.Relation, &l.Mode) != nil {
			return
		}
		l.Blockers = append(l.Blockers, b)
	}
	_ = rows.Err() // what was found is true
}
