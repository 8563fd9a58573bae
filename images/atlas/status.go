package main

import (
	"context"
	"errors"

	"ariga.io/atlas/sql/migrate"
)

// Words of Atlas's command line that others read.
const (
	noneApplied = "No migration applied yet"
	// Ours: the reason follows.
	notClean    = noneApplied + ", but the database is not empty: "
	nothingNext = "Already at latest version"
)

// status compares folder and history; it reads only.
func status(ctx context.Context, o *options, io streams) (err error) {
	f, err := openValidFolder(o.dir)
	if err != nil {
		return err
	}
	s, err := connect(ctx, o.url)
	if err != nil {
		return err
	}
	defer s.close()
	known := secretsOf(o.url)
	defer func() { err = known.hide(err) }()
	h, err := openHistory(ctx, s, o.revisionsSchema, false)
	if err != nil {
		return err
	}
	rows, err := h.ReadRevisions(ctx)
	if err != nil {
		return err
	}
	// Who asks can see files out of order, since all files and all rows are in the report.
	pending, err := pendingFiles(ctx, s, f, h, rows, migrate.ExecOrderLinearSkip)
	if err != nil {
		return plain(err)
	}
	report := compared(f, rows, pending)
	if len(rows) == 0 {
		var dirty *migrate.NotCleanError
		if err := s.CheckClean(ctx, h.Ident()); errors.As(err, &dirty) {
			report.Current = notClean + dirty.Reason
		} else if err != nil {
			return plain(err)
		}
	}
	report.Error, report.SQL = known.clean(report.Error), known.clean(report.SQL)
	return render(io.out, o.format, statusFormat, report)
}

// pendingFiles are those that `apply` would come to.
func pendingFiles(ctx context.Context, s *server, f *folder, h *history, rows []*migrate.Revision, order migrate.ExecOrder) ([]migrate.File, error) {
	if len(rows) == 0 { // in an empty database; in another, those after the baseline, which we are not told
		return migrate.FilesFromLastCheckpoint(f)
	}
	executor, err := migrate.NewExecutor(s, f, h, migrate.WithExecOrder(order))
	if err != nil {
		return nil, err
	}
	pending, err := executor.Pending(ctx)
	if err != nil && !errors.Is(err, migrate.ErrNoPendingFiles) {
		return nil, err
	}
	all, _ := f.with(pending, h.halfway())
	return all, nil
}

func compared(f *folder, rows []*migrate.Revision, pending []migrate.File) statusReport {
	report := statusReport{
		Available: reportsOf(f.files), Pending: reportsOf(pending), Applied: rows,
		Current: noneApplied, Next: nothingNext, Status: "OK",
	}
	if len(rows) > 0 {
		last := rows[len(rows)-1]
		report.Current = last.Version
		if last.Applied < last.Total {
			report.Count, report.Total, report.Error, report.SQL = last.Applied, last.Total, last.Error, last.ErrorStmt
		}
	}
	if len(pending) > 0 {
		report.Next, report.Status = pending[0].Version(), "PENDING"
	}
	return report
}
