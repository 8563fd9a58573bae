package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ariga.io/atlas/sql/migrate"
)

// setTimeout is how long `set` waits for a run; Atlas's command line has no flag for it.
const setTimeout = 10 * time.Second

// devLockName keeps two validations out of one dev database.
const devLockName = "atlas_migrate_validate"

// hash writes atlas.sum.
func hash(_ context.Context, o *options, _ streams) error {
	f, err := openFolder(o.dir)
	if err != nil {
		return err
	}
	return migrate.WriteSumFile(f, f.sum)
}

// validate compares atlas.sum with the files and, if there is a dev database, applies them there and undoes it.
func validate(ctx context.Context, o *options, _ streams) error {
	f, err := openValidFolder(o.dir)
	if err != nil || o.devURL == "" {
		return err
	}
	s, err := connect(ctx, o.devURL)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.stated(f, o.statements); err != nil {
		return err
	}
	return secretsOf(o.devURL).hide(replay(ctx, s, f))
}

func replay(ctx context.Context, s *server, f *folder) (err error) {
	unlock, err := s.Lock(ctx, devLockName, setTimeout)
	if err != nil {
		return fmt.Errorf("acquiring database lock: %w", plain(err))
	}
	defer func() { _ = unlock() }()
	restore, err := s.Snapshot(ctx)
	if err != nil {
		return fmt.Errorf("replaying the migration directory: sql/migrate: taking database snapshot: %w", plain(err))
	}
	defer func() {
		if failed := restore(context.WithoutCancel(ctx)); failed != nil {
			err = errors.Join(err, fmt.Errorf("restoring the dev database: %w", plain(failed)))
		}
	}()
	r := &applyRun{options: &options{txMode: modeFile}, server: s, folder: f, pending: f.files}
	r.history = &history{server: s, missing: true, rows: map[string]*migrate.Revision{}}
	if r.executor, err = migrate.NewExecutor(s, f, migrate.NopRevisionReadWriter{}, migrate.WithLogger(r)); err != nil {
		return err
	}
	if err := r.execute(ctx); err != nil {
		return fmt.Errorf("replaying the migration directory: sql/migrate: read migration directory state: %w", err)
	}
	return nil
}

// set records everything up to a version as applied, and nothing above it.
func set(ctx context.Context, o *options, io streams) (err error) {
	f, err := openValidFolder(o.dir)
	if err != nil {
		return err
	}
	version := o.arguments[0]
	if !slices.ContainsFunc(f.files, func(file migrate.File) bool { return file.Version() == version }) {
		return fmt.Errorf("migration with version %q not found", version)
	}
	s, err := connect(ctx, o.url)
	if err != nil {
		return err
	}
	defer s.close()
	known := secretsOf(o.url)
	defer func() { err = known.hide(err) }()
	unlock, err := s.lock(ctx, setTimeout)
	if err != nil {
		return err
	}
	defer func() { _ = unlock() }()
	h, err := openHistory(ctx, s, o.revisionsSchema, true)
	if err != nil {
		return err
	}
	changes, err := h.set(ctx, f, version)
	if err == nil {
		fmt.Fprintf(io.out, "Current version is %s\n%s", version, changes)
	}
	return err
}

// set records everything up to `version` as applied, nothing above it, and tells what it changed.
func (h *history) set(ctx context.Context, f *folder, version string) (string, error) {
	rows, err := h.ReadRevisions(ctx)
	if err != nil {
		return "", err
	}
	var told strings.Builder
	for _, row := range rows {
		if row.Version > version {
			if err := h.DeleteRevision(ctx, row.Version); err != nil {
				return "", err
			}
			fmt.Fprintf(&told, "  - %s (%s)\n", row.Version, row.Description)
		}
	}
	rows = h.sorted()
	missing, err := pendingFiles(ctx, h.server, f, h, rows, migrate.ExecOrderNonLinear)
	if err != nil {
		return "", plain(err)
	}
	for _, file := range missing {
		if file.Version() > version {
			continue
		}
		sum, err := f.sum.SumByName(file.Name())
		if err != nil {
			return "", err
		}
		if err := h.WriteRevision(ctx, resolved(h.rows[file.Version()], file, sum)); err != nil {
			return "", fmt.Errorf("writing the history: %w", err)
		}
		fmt.Fprintf(&told, "  + %s (%s)\n", file.Version(), file.Desc())
	}
	return told.String(), nil
}

// resolved is the row of a file that somebody took care of by hand.
func resolved(row *migrate.Revision, file migrate.File, sum string) *migrate.Revision {
	if row == nil {
		return &migrate.Revision{
			Version: file.Version(), Description: file.Desc(), Type: migrate.RevisionTypeResolved, Hash: sum, ExecutedAt: time.Now(),
		}
	}
	done := *row
	done.Type |= migrate.RevisionTypeResolved
	done.Applied, done.Hash, done.Error, done.ErrorStmt = done.Total, sum, "", ""
	return &done
}
