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

// run is one `migrate apply`.
type applyRun struct {
	options  *options
	server   *server
	folder   *folder
	history  *history
	executor *migrate.Executor
	report   applyReport
	events   *events
	pending  []migrate.File
	// The transaction mode and the statements of each of them.
	modes      []string
	statements [][]*migrate.Stmt
	// at is the number of the file among them that is executed.
	at int
}

// apply runs the pending files, in order, under the lock that all runs on the database share.
func apply(ctx context.Context, o *options, io streams) (err error) {
	files, err := openValidFolder(o.dir)
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
	log, err := openEvents(o.events, known)
	if err != nil {
		return err
	}
	defer log.close()
	s.dry, s.bounds = o.dryRun, o.bounds
	if err := s.stated(files, o.statements); err != nil {
		return err
	}
	unlock, err := s.lock(ctx, o.lockTimeout)
	if err != nil {
		return err
	}
	defer func() { _ = unlock() }() // it ends with the connection in any case
	r := &applyRun{options: o, server: s, folder: files, events: log}
	if err := r.plan(ctx); err != nil {
		return err
	}
	failed := r.execute(ctx)
	if failed != nil {
		r.report.Error = failed.Error()
		r.forgetUndone(ctx)
	}
	log.runEnds(r)
	if err := render(io.out, o.format, applyFormat, r.report.clean(known)); err != nil {
		return err
	}
	if failed != nil {
		return errReported
	}
	return nil
}

// plan finds out what there is to do; its errors come before anything was changed.
func (r *applyRun) plan(ctx context.Context) error {
	var err error
	if r.history, err = openHistory(ctx, r.server, r.options.revisionsSchema, !r.options.dryRun); err != nil {
		return err
	}
	r.executor, err = migrate.NewExecutor(r.server, r.folder, r.history,
		migrate.WithLogger(r),
		migrate.WithExecOrder(execOrders[r.options.execOrder]),
		migrate.WithBaselineVersion(r.options.baseline),
		migrate.WithAllowDirty(r.options.allowDirty),
		migrate.WithOperatorVersion(operatorName),
	)
	if err != nil {
		return err
	}
	r.pending, err = r.executor.Pending(ctx)
	if err != nil && !errors.Is(err, migrate.ErrNoPendingFiles) {
		return unplanned(err)
	}
	if r.pending, err = r.withHalfway(r.pending); err != nil {
		return err
	}
	if n, _ := r.options.amount(); n > 0 && n < len(r.pending) {
		r.pending = r.pending[:n]
	}
	if rows := r.history.sorted(); len(rows) > 0 {
		r.report.Current = rows[len(rows)-1].Version
	}
	if len(r.pending) > 0 {
		r.report.Target = r.pending[len(r.pending)-1].Version()
	}
	r.report.Pending = reportsOf(r.pending)
	return nil
}

// withHalfway adds the files that stopped halfway below others; only a run that may go back to them goes on.
func (r *applyRun) withHalfway(pending []migrate.File) ([]migrate.File, error) {
	halfway := r.history.halfway()
	if len(halfway) > 0 && r.options.execOrder != "non-linear" {
		return nil, fmt.Errorf("sql/migrate: history: %s_%s stopped halfway (%d of %d statements), and files above it were applied: "+
			"to continue it, apply with exec-order non-linear; if it was finished by hand, set applied = total in its row",
			halfway[0].Version, halfway[0].Description, halfway[0].Applied, halfway[0].Total)
	}
	found, missing := r.folder.with(pending, halfway)
	if len(missing) > 0 {
		return nil, &migrate.MissingMigrationError{Version: missing[0].Version, Description: missing[0].Description}
	}
	return found, nil
}

// unplanned is why there is no plan.
func unplanned(err error) error {
	var late *migrate.HistoryNonLinearError
	if !errors.As(err, &late) {
		return plain(err)
	}
	names := make([]string, len(late.OutOfOrder))
	for i, file := range late.OutOfOrder {
		names[i] = file.Name()
	}
	return fmt.Errorf("sql/migrate: files were added out of order, below the version of the database: %s", strings.Join(names, ", "))
}

// prepare finds out all that can be known before the first statement runs.
func (r *applyRun) prepare() error {
	for _, file := range r.pending {
		mode, err := transactionMode(file, r.options.txMode)
		if err != nil {
			return err
		}
		found, err := migrate.FileStmtDecls(r.server, file)
		if err != nil {
			return fmt.Errorf("sql/migrate: scanning statements from %q: %w", file.Name(), err)
		}
		if i := slices.IndexFunc(found, r.server.dialect.hides); i >= 0 {
			line, _ := lineAndColumn(string(file.Bytes()), found[i].Pos)
			return r.failed(file, fmt.Errorf("sql/migrate: %s, line %d, cannot be applied: SET autocommit would keep the history out of step "+
				"with the statements; write START TRANSACTION and COMMIT instead", file.Name(), line))
		}
		r.modes, r.statements = append(r.modes, mode), append(r.statements, found)
	}
	return nil
}

// execute runs the pending files.
func (r *applyRun) execute(ctx context.Context) error {
	if err := r.prepare(); err != nil {
		return err
	}
	r.server.executed = r.ended
	defer r.server.end()
	r.events.runBegins(r)
	for i, file := range r.pending {
		if r.at = i; ctx.Err() != nil {
			return &interruptedError{fmt.Errorf("%s was %w", file.Name(), errNotBegun)}
		}
		if err := r.file(ctx, file); err != nil {
			return interruption(ctx, err)
		}
	}
	if r.options.txMode == modeAll && len(r.pending) > 0 {
		return r.commit(ctx)
	}
	return nil
}

// file executes one file in a session of its own, or in the one of the run if the run is one transaction.
func (r *applyRun) file(ctx context.Context, file migrate.File) error {
	if err := r.begin(ctx, file); err != nil {
		return err
	}
	r.history.resume(file, r.folder.sum, len(r.statements[r.at]))
	if err := r.executor.Execute(ctx, file); err != nil {
		return r.failed(file, err)
	}
	if r.options.txMode == modeAll {
		return nil
	}
	if err := r.commit(ctx); err != nil {
		return err
	}
	r.events.fileEnds(r.current())
	r.server.renew(ctx, string(file.Bytes()))
	r.history.release(ctx)
	return nil
}

// begin makes a session ready for a file: the first one, if the run is one transaction, for all of them.
func (r *applyRun) begin(ctx context.Context, file migrate.File) error {
	isFirst := r.at == 0 || r.options.txMode != modeAll
	if isFirst {
		if err := r.server.open(ctx); err != nil {
			return err
		}
	}
	if err := r.history.claim(ctx, file.Version(), r.options.lockTimeout); err != nil {
		return err
	}
	if err := r.history.resumable(file, r.statements[r.at], r.options.repeatBegun == file.Version()); err != nil {
		return r.failed(file, err)
	}
	if !isFirst || r.modes[r.at] == modeNone {
		return nil
	}
	return r.server.begin(ctx)
}

// commit ends a transaction; where that fails, the file fails.
func (r *applyRun) commit(ctx context.Context) error {
	err := r.server.commit(ctx)
	if err == nil {
		return nil
	}
	r.current().Error = &statementReport{Stmt: "COMMIT", Text: err.Error(), SQLState: codeOf(err), Raised: isRaised(err)}
	r.events.failed(r.current(), nil, err)
	return fmt.Errorf("sql/migrate: committing version %q: %w", r.current().Version, err)
}

// failed is the error of a file as it is shown: that of the statement, without what followed from it.
func (r *applyRun) failed(file migrate.File, err error) error {
	var statement *migrate.StmtExecError
	if errors.As(err, &statement) {
		return statement
	}
	var changed migrate.HistoryChangedError
	if errors.As(err, &changed) {
		err = fmt.Errorf("sql/migrate: history changed: statement %d of file %s is not the one that was applied", changed.Stmt, changed.File)
	}
	last := r.current()
	if last == nil || last.Version != file.Version() { // nothing of it was begun
		last = &appliedFile{fileReport: reportOf(file), started: time.Now()}
		r.report.Applied = append(r.report.Applied, last)
	}
	if last.Error == nil {
		last.Error = &statementReport{Text: err.Error(), SQLState: codeOf(err), Raised: isRaised(err)}
		r.events.failed(last, nil, err)
	}
	return err
}

// forgetUndone takes the files out of the report that were undone with the transaction of the run; MySQL undoes less.
func (r *applyRun) forgetUndone(ctx context.Context) {
	if r.options.txMode != modeAll || r.options.dryRun {
		return
	}
	rows, err := r.history.ReadRevisions(context.WithoutCancel(ctx))
	if err != nil {
		rows = nil // then nobody knows
	}
	done := map[string]bool{}
	for _, row := range rows {
		done[row.Version] = row.Applied == row.Total
	}
	r.report.Applied = slices.DeleteFunc(r.report.Applied, func(file *appliedFile) bool {
		return file.Error == nil && !done[file.Version]
	})
}

func (r *applyRun) current() *appliedFile {
	if n := len(r.report.Applied); n > 0 {
		return r.report.Applied[n-1]
	}
	return nil
}

// Log implements migrate.Logger.
func (r *applyRun) Log(entry migrate.LogEntry) {
	switch e := entry.(type) {
	case migrate.LogFile:
		file := &appliedFile{fileReport: reportOf(e.File), Skipped: e.Skip, started: time.Now(), text: string(e.File.Bytes())}
		r.report.Applied = append(r.report.Applied, file)
		r.events.fileBegins(file, r.at+1, r.statements[r.at], r.server)
	case migrate.LogStmt:
		file := r.current()
		file.Applied, file.statement, file.began = append(file.Applied, e.SQL), e.Stmt, time.Now()
		r.events.statement(statementBegin, file)
	case migrate.LogError:
		if e.Stmt != nil {
			r.current().fail(e.Stmt, e.Error)
			r.events.failed(r.current(), e.Stmt, e.Error)
		}
	}
}

// ended hears of each statement's end.
func (r *applyRun) ended(err error) {
	if err == nil {
		r.events.statement(statementEnd, r.current())
	}
}
