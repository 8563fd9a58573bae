package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// cancelTimeout is how long to try to reach the server for the sake of a statement that is to be cancelled.
const cancelTimeout = 5 * time.Second

// errNotBegun is that of a statement, or a file, that a signal kept from being begun.
var errNotBegun = errors.New("not begun")

// interruptedError is the error of what was not done, or not to its end, because of a signal.
type interruptedError struct{ cause error }

func (e *interruptedError) Error() string { return "interrupted: " + e.cause.Error() }
func (e *interruptedError) Unwrap() error { return e.cause }

// interruption is an error that came after a signal, marked as such.
func interruption(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || errors.As(err, new(*interruptedError)) {
		return err
	}
	return &interruptedError{err}
}

// interruptible executes a statement of a file in its session. A signal cancels the statement in the server: whoever
// leaves the server alone with it does not know how it ends. The session stays usable, for the history.
func (s *server) interruptible(ctx context.Context, query string, arguments []any) (sql.Result, error) {
	if ctx.Err() != nil {
		return nil, &interruptedError{errNotBegun}
	}
	running, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	asked := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(asked)
		if !s.cancelStatement() {
			abandon()
		}
	})
	result, err := s.session.ExecContext(running, query, arguments...)
	if !stop() {
		<-asked // else it would end what this session does next
	}
	return result, interruption(ctx, plain(err))
}

// cancelStatement asks the server to end what the session does; false when the server could not be asked.
func (s *server) cancelStatement() bool {
	ctx, stop := context.WithTimeout(context.Background(), cancelTimeout)
	defer stop()
	_, err := s.client.DB.ExecContext(ctx, fmt.Sprintf(s.dialect.cancel, s.session.backend))
	return err == nil
}

// endKnown says whether it is known how a statement with that error ended: the server answered, or never heard of it.
func endKnown(err error) bool {
	return err == nil || errors.Is(err, errNotBegun) || errors.Is(err, errTooLarge) || codeOf(err) != ""
}
