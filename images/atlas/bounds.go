package main

import (
	"context"
	"fmt"
	"regexp"
	"time"
)

// bounds are the limits of the statements of files: how long they may wait for a lock, and how long they may take. Zero
// leaves to the server and to the URL what they say, unless locks are to be waited for without a limit.
type bounds struct {
	lock, statement time.Duration
	unlimited       bool
}

func boundPostgres(b bounds) []string {
	var commands []string
	if b.lock > 0 || b.unlimited {
		commands = append(commands, setLockTimeout(b.lock))
	}
	if b.statement > 0 {
		commands = append(commands, fmt.Sprintf("SET statement_timeout = %d", milliseconds(b.statement)))
	}
	return commands
}

func setLockTimeout(limit time.Duration) string {
	return fmt.Sprintf("SET lock_timeout = %d", milliseconds(limit))
}

// boundMySQL makes waits shorter, and never longer: for rows, the server's own limit is mostly the shorter one.
func boundMySQL(b bounds) []string {
	if b.lock <= 0 {
		return nil
	}
	seconds := int64((b.lock + time.Second - 1) / time.Second)
	return []string{fmt.Sprintf("SET SESSION lock_wait_timeout = LEAST(@@SESSION.lock_wait_timeout, %[1]d), "+
		"SESSION innodb_lock_wait_timeout = LEAST(@@SESSION.innodb_lock_wait_timeout, %[1]d)", seconds)}
}

// milliseconds is at least one, unless there is no limit: to the server, zero would be none.
func milliseconds(limit time.Duration) int64 {
	if limit <= 0 {
		return 0
	}
	return max(limit.Milliseconds(), 1)
}

// bound gives a session its limits.
func (s *server) bound(ctx context.Context, target *session) error {
	for _, command := range s.dialect.bound(s.bounds) {
		if _, err := target.ExecContext(ctx, command); err != nil {
			return err
		}
	}
	return nil
}

// concurrent finds a statement that waits for old transactions and keeps nobody waiting: what gives up leaves an invalid
// index behind.
var concurrent = regexp.MustCompile(`(?is)^(create\s+(unique\s+)?index|drop\s+index|reindex(\s*\([^)]*\))?\s+(index|table|schema|database)|` +
	`alter\s+table\s.*\sdetach\s+partition\s+\S+)\s+concurrently\b|^reindex\s*\([^)]*\bconcurrently\b`)

// lift takes our limit for locks from a session while it executes such a statement, and returns what restores it. A limit
// that the file has set stays.
func (s *server) lift(ctx context.Context, query string) func() {
	if s.dialect.lift == "" || s.bounds.lock == 0 || s.session.open || !concurrent.MatchString(query) {
		return func() {}
	}
	result, err := s.session.ExecContext(ctx, fmt.Sprintf(s.dialect.lift, milliseconds(s.bounds.lock)))
	if err != nil {
		return func() {} // the statement will say what is wrong
	}
	if lifted, err := result.RowsAffected(); err != nil || lifted == 0 {
		return func() {}
	}
	return func() { _, _ = s.session.ExecContext(context.WithoutCancel(ctx), setLockTimeout(s.bounds.lock)) }
}
