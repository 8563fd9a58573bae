package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"ariga.io/atlas/sql/schema"
)

// beat is the time between two looks at whether a lock is still held.
const beat = 5 * time.Second

// hold holds the lock of a run until its input ends: for a runner that has no driver for MySQL. It says when it waits for
// the lock, and when it has it. A line of the input asks what a session does.
func hold(ctx context.Context, o *options, io streams) error {
	s, err := connect(ctx, o.url)
	if err != nil {
		return err
	}
	defer s.close()
	known := secretsOf(o.url)
	if s.dialect.runLock == nil {
		return errors.New("a lock of a run is held in MySQL only: PostgreSQL's is the runner's own")
	}
	if err := s.open(ctx); err != nil {
		return known.hide(err)
	}
	defer s.end()
	name := s.dialect.runLock(s.client.URL.Schema)
	if err := s.takeRunLock(ctx, name, o.lockTimeout, io.out); err != nil {
		return known.hide(err)
	}
	fmt.Fprintln(io.out, "held")
	return known.hide(s.keepRunLock(ctx, name, linesOf(io.in), io.out))
}

// takeRunLock asks for the lock again and again, until it has it.
func (s *server) takeRunLock(ctx context.Context, name string, timeout time.Duration, out io.Writer) error {
	deadline := time.Now().Add(timeout)
	for waits := false; ; waits = true {
		var taken bool
		if err := s.session.QueryRowContext(ctx, "SELECT GET_LOCK("+name+", 0)").Scan(&taken); err != nil {
			return fmt.Errorf("acquiring database lock: %w", plain(err))
		}
		if taken {
			return nil
		}
		if !waits {
			fmt.Fprintln(out, "waiting")
		}
		if time.Now().Add(longestPause).After(deadline) {
			return fmt.Errorf("acquiring database lock: %w", schema.ErrLocked)
		}
		select {
		case <-time.After(longestPause):
		case <-ctx.Done():
			return &interruptedError{ctx.Err()}
		}
	}
}

// keepRunLock returns when nobody needs the lock any more, which is when `lines` end, or with an error when it is lost.
func (s *server) keepRunLock(ctx context.Context, name string, lines <-chan string, out io.Writer) error {
	beats := time.NewTicker(beat)
	defer beats.Stop()
	for {
		select {
		case line, open := <-lines:
			if !open {
				return nil
			}
			s.answer(ctx, line, out)
			continue
		case <-ctx.Done():
			return nil
		case <-beats.C:
		}
		var held bool
		err := s.session.QueryRowContext(ctx, "SELECT COALESCE(IS_USED_LOCK("+name+") = CONNECTION_ID(), FALSE)").Scan(&held)
		if ctx.Err() == nil && (err != nil || !held) {
			return errors.New("the lock of the run is lost")
		}
	}
}

// linesOf are the lines of an input; closed when it ends.
func linesOf(in io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(in); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	return lines
}

// runLockOf is the name of the lock in MySQL, where it is one of the server.
func runLockOf(schema string) string {
	sum := sha256.Sum256([]byte(schema))
	return fmt.Sprintf("'dbupgrade_run_%x'", sum[:16])
}
