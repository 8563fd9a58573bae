package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/schema"
	"ariga.io/atlas/sql/sqlclient"

	// The library's drivers, and those of Go below them.
	_ "ariga.io/atlas/sql/mysql"
	_ "ariga.io/atlas/sql/postgres"
	_ "github.com/go-sql-driver/mysql"
	_ "github.com/lib/pq"
)

// lockName is that of Atlas's command line, so that no two runs of either are at work in one database.
const lockName = "atlas_migrate_execute"

// server is a database, and the session in which the statements of a file run.
//
// It is the driver that the library executes with: what a file says goes to the file's session, everything else to
// connections of our own.
type server struct {
	migrate.Driver
	client  *sqlclient.Client
	dialect dialect
	session *session
	// dry is set when nothing may be executed.
	dry bool
	// bounds are the limits of the sessions.
	bounds bounds
	// executed hears of each statement of a file, when it has ended.
	executed func(error)
	// lost is set when it is not known how the last statement of a file ended.
	lost    bool
	scanned map[string][]*migrate.Stmt
}

// session is a connection of a file's own; SET, roles and temporary tables end with it.
type session struct {
	*sql.Conn
	backend int64 // its number in the server
	open    bool  // a transaction of ours was begun
	spent   bool  // the next file needs another connection
}

// connect opens the database that a URL names. What it returns as error holds nothing of the URL.
func connect(ctx context.Context, url string) (*server, error) {
	known := secretsOf(url)
	if err := checkURL(url); err != nil {
		return nil, err
	}
	client, err := open(ctx, url)
	if err != nil {
		return nil, known.hide(refused(ctx, url, plain(err)))
	}
	client.URL.Schema = unquoted(client.URL.Schema)
	s := &server{Driver: client.Driver, client: client, scanned: map[string][]*migrate.Stmt{}}
	s.dialect = dialectOf(client.Name)
	return s, nil
}

func open(ctx context.Context, url string) (*sqlclient.Client, error) {
	u, err := sqlclient.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("sql/sqlclient: parse open url: %w", err)
	}
	if isMySQL(u.Scheme) { // else a server whose sessions begin without it would lose what was recorded last
		query := u.Query()
		query.Set("autocommit", "1")
		u.RawQuery = query.Encode()
	}
	return sqlclient.OpenURL(ctx, u)
}

// unquoted is the name of a schema as search_path has it: in double quotes if it is not of lower-case letters.
func unquoted(name string) string {
	if len(name) < 3 || name[0] != '"' || name[len(name)-1] != '"' {
		return name
	}
	return strings.ReplaceAll(name[1:len(name)-1], `""`, `"`)
}

func (s *server) close() { _ = s.client.Close() }

// lock takes the lock that all runs on a database share.
func (s *server) lock(ctx context.Context, timeout time.Duration) (schema.UnlockFunc, error) {
	unlock, err := s.Lock(ctx, lockName, timeout)
	if err != nil {
		return nil, fmt.Errorf("acquiring database lock: %w", plain(err))
	}
	return unlock, nil
}

// open opens a session unless one was kept.
func (s *server) open(ctx context.Context) error {
	if s.session != nil && s.session.spent {
		s.replace(ctx)
	}
	if s.session == nil {
		var err error
		if s.session, err = s.newSession(ctx); err != nil {
			return fmt.Errorf("connecting: %w", plain(err))
		}
	}
	return nil
}

// begin begins a transaction in the session.
func (s *server) begin(ctx context.Context) error {
	// Not by BeginTx: a file may end our transaction itself, which pq takes for a broken connection.
	if _, err := s.session.ExecContext(ctx, s.dialect.begin); err != nil {
		s.end()
		return fmt.Errorf("beginning a transaction: %w", plain(err))
	}
	s.session.open = true
	return nil
}

// newSession takes another connection.
func (s *server) newSession(ctx context.Context) (*session, error) {
	conn, err := s.client.DB.Conn(ctx)
	if err != nil {
		return nil, err
	}
	found := &session{Conn: conn}
	err = conn.QueryRowContext(ctx, s.dialect.backend).Scan(&found.backend)
	if err == nil {
		err = s.bound(ctx, found)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return found, nil
}

// commit ends the session's transaction: ours, or one that a file without a transaction left open.
func (s *server) commit(ctx context.Context) error {
	s.session.open = false // whether it succeeds or not
	_, err := s.session.ExecContext(context.WithoutCancel(ctx), "COMMIT")
	return plain(err)
}

// loud are the words without which a file cannot change what a session keeps beyond the server's own way of making it
// new: parameters with a name of their own, and those that new sessions begin with.
var loud = regexp.MustCompile(`(?i)\b(set|reset|set_config|setseed|load|do|call|select|execute|perform|discard)\b`)

// renew makes the session that of the next file: where the server can, and nothing speaks against it, by making it new,
// which is much cheaper than another connection.
func (s *server) renew(ctx context.Context, text string) {
	if len(s.dialect.renew) == 0 || loud.MatchString(text) {
		s.session.spent = true
	} else if !s.reset(ctx) {
		s.end()
	}
}

// reset undoes what the session was told, as far as the server can; false when it could not, or knows no way.
func (s *server) reset(ctx context.Context) bool {
	for _, command := range s.dialect.renew {
		if _, err := s.session.ExecContext(ctx, command); err != nil {
			return false
		}
	}
	return len(s.dialect.renew) > 0 && s.bound(ctx, s.session) == nil
}

// replace takes another connection for the next file. Where the server refuses the login that it took before, as with a
// token that ran out during a long run, the session goes on: reset, it keeps names of parameters and nothing that counts.
func (s *server) replace(ctx context.Context) {
	other, err := s.newSession(ctx)
	switch {
	case err == nil:
		s.end()
		s.session = other
	case strings.HasPrefix(codeOf(plain(err)), invalidAuthorization) && s.reset(ctx):
		s.session.spent = false
	default:
		s.end() // open connects once more, and returns the error
	}
}

// end closes the session for good; the server undoes a transaction that is open.
func (s *server) end() {
	if s.session == nil {
		return
	}
	if s.session.open {
		// Waits until it is undone; an error says that the connection is gone, and the transaction with it.
		_, _ = s.session.ExecContext(context.Background(), "ROLLBACK")
	}
	_ = s.session.Raw(func(any) error { return driver.ErrBadConn })
	_ = s.session.Close()
	s.session = nil
}

// ExecContext implements migrate.Driver.
func (s *server) ExecContext(ctx context.Context, query string, arguments ...any) (sql.Result, error) {
	if s.dry {
		return driver.ResultNoRows, nil
	}
	if s.session == nil {
		return nil, errors.New("there is no session")
	}
	restore := s.lift(ctx, query)
	result, err := s.interruptible(ctx, query, arguments)
	restore()
	s.lost = !endKnown(err)
	if s.executed != nil {
		s.executed(err)
	}
	return result, err
}

// ScanStmts implements migrate.StmtScanner: what was counted before the run is not scanned again.
func (s *server) ScanStmts(input string) ([]*migrate.Stmt, error) {
	if found, known := s.scanned[input]; known {
		return found, nil
	}
	found, err := s.Driver.(migrate.StmtScanner).ScanStmts(input)
	if err == nil {
		s.scanned[input] = found
	}
	return found, err
}
