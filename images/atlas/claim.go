package main

import (
	"context"
	"fmt"
	"time"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/schema"
)

const (
	firstPause   = 5 * time.Millisecond
	longestPause = 500 * time.Millisecond
)

// claim makes sure that nobody else is at a file. The connection that holds the lock of the run may be lost in the middle
// of it, and then another run begins; so the session of the file takes a lock of its own, and only what is read behind
// that lock counts. The server is asked again and again: who waits in it holds up builds with CONCURRENTLY.
func (h *history) claim(ctx context.Context, version string, timeout time.Duration) error {
	if h.missing || h.server.dry {
		return nil
	}
	pause := firstPause
	for deadline := time.Now().Add(timeout); ; pause = min(2*pause, longestPause) {
		var taken bool
		if err := h.server.session.QueryRowContext(ctx, h.server.dialect.take(h.schema)).Scan(&taken); err != nil {
			return fmt.Errorf("acquiring database lock: %w", plain(err))
		}
		if taken {
			return h.unchanged(ctx, version)
		}
		if time.Now().Add(pause).After(deadline) {
			return fmt.Errorf("acquiring database lock: %w", schema.ErrLocked)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return &interruptedError{ctx.Err()}
		}
	}
}

// unchanged compares the row of a version with what it was when the run was planned.
func (h *history) unchanged(ctx context.Context, version string) error {
	found, err := h.read(ctx, h.server.session, " WHERE version = "+h.server.dialect.literal(version))
	if err != nil {
		return err
	}
	var now *migrate.Revision
	if len(found) > 0 {
		now = found[0]
	}
	planned := h.rows[version]
	if (now == nil) != (planned == nil) ||
		now != nil && (now.Applied != planned.Applied || now.Total != planned.Total || now.Hash != planned.Hash || now.Error != planned.Error) {
		return errOvertaken(version)
	}
	return nil
}

// errOvertaken is that of a run which is not the only one.
func errOvertaken(version string) error {
	return fmt.Errorf("acquiring database lock: another run has recorded version %s since this one began", version)
}

// release gives the lock of the file back, unless that went with all else when the session was made new, or with the
// session; so an error says that there is none any more.
func (h *history) release(ctx context.Context) {
	if s := h.server; !h.missing && !s.dry && s.session != nil && s.session.spent {
		_, _ = s.session.ExecContext(context.WithoutCancel(ctx), s.dialect.release(h.schema))
	}
}
