package main

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/go-sql-driver/mysql"
	"github.com/lib/pq"
)

// statementError is what a database said of a statement, in the words in which it is shown and recorded.
type statementError struct {
	text, code string
	// raised says that SQL raised the error itself, so that its words may be data.
	raised bool
	// position is that of a character in the statement, from 1; 0 if the database gave none.
	position int
	cause    error
}

func (e *statementError) Error() string { return e.text }
func (e *statementError) Unwrap() error { return e.cause }

// raising are the functions of PostgreSQL that carry out RAISE and ASSERT, whatever SQLSTATE these name.
var raising = []string{"exec_stmt_raise", "exec_stmt_assert"}

// What MySQL says of SIGNAL, unless that names another number and state.
const (
	signalled      = 1644
	signalledState = "45000"
)

// plain gives the errors of both drivers one shape: the message, with the SQLSTATE behind it.
func plain(err error) error {
	var postgres *pq.Error
	var maria *mysql.MySQLError
	switch {
	case errors.As(err, &postgres):
		e := &statementError{code: string(postgres.Code), raised: slices.Contains(raising, postgres.Routine), cause: err}
		e.text = fmt.Sprintf("pq: %s (%s)", postgres.Message, postgres.Code)
		if _, scanErr := fmt.Sscan(postgres.Position, &e.position); scanErr != nil {
			e.position = 0
		}
		return e
	case errors.As(err, &maria):
		raised := maria.Number == signalled || string(maria.SQLState[:]) == signalledState
		return &statementError{text: maria.Error(), code: string(maria.SQLState[:]), raised: raised, cause: err}
	default:
		return err
	}
}

// positionOf is the character in its statement of which an error speaks, from 1; 0 if it speaks of none.
func positionOf(err error) int {
	var e *statementError
	if errors.As(err, &e) {
		return e.position
	}
	return 0
}

// Numbers of MySQL's errors.
const (
	duplicateEntry = 1062
	tableNotLocked = 1100
)

// numberOf is that of an error of MySQL.
func numberOf(err error) uint16 {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

// isDuplicate says whether a row was there already.
func isDuplicate(err error) bool {
	return codeOf(err) == "23505" || numberOf(err) == duplicateEntry
}

// errTooLarge is that of a statement which MySQL's driver did not send.
var errTooLarge = mysql.ErrPktTooLarge

// codeOf is the SQLSTATE of an error, if it has one.
func codeOf(err error) string {
	var e *statementError
	if errors.As(err, &e) {
		return e.code
	}
	return ""
}

// isRaised says whether SQL raised an error itself.
func isRaised(err error) bool {
	var e *statementError
	return errors.As(err, &e) && e.raised
}

// checkURL refuses what cannot be a URL of a database, in words that hold nothing of it: where a URL is malformed, any
// part of it may be the password.
func checkURL(text string) error {
	if text == "" {
		return errors.New("required flag \"url\" not set")
	}
	u, err := url.Parse(text)
	if err != nil || hasStrayAt(u) {
		return errors.New("sql/sqlclient: parse open url: the URL of the database is malformed; user and password must be percent-encoded")
	}
	if u.Scheme != "postgres" && u.Scheme != "postgresql" && !isMySQL(u.Scheme) {
		return errors.New("sql/sqlclient: unknown driver: the URL of the database must begin with postgres://, mysql:// or mariadb://")
	}
	return nil
}

func isMySQL(scheme string) bool {
	return slices.Contains([]string{"mysql", "mariadb", "maria"}, strings.TrimSuffix(scheme, "+unix"))
}

// hasStrayAt says whether an @ stands where none belongs: a character that ends the host stands in the password as it
// is, and the driver would log in elsewhere, with a part of the password, and name another part as the host.
func hasStrayAt(u *url.URL) bool {
	name, _, _ := strings.Cut(u.RawQuery, "=")
	return u.Fragment != "" || u.Host != "" &&
		(strings.Contains(u.EscapedPath()+name, "@") || u.User == nil && strings.Contains(u.RawQuery, "@"))
}

const mask = "***"

// secrets are the texts that no output may hold.
type secrets []string

var (
	anyURL   = regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*://\S*`)
	userinfo = regexp.MustCompile(`://([^/?#]*)@`)
)

// shortest is the length from which a password is looked for inside of words: a shorter one would mask our own.
const shortest = 4

// secretsOf lists the secret parts of a URL in each spelling.
func secretsOf(text string) secrets {
	found := map[string]bool{}
	add := func(values ...string) {
		for _, value := range values {
			if utf8.RuneCountInString(value) >= shortest {
				found[value], found[url.QueryEscape(value)], found[url.PathEscape(value)] = true, true, true
			}
		}
	}
	if u, err := url.Parse(text); err == nil {
		password, _ := u.User.Password()
		add(password)
		for name, values := range u.Query() {
			if strings.Contains(strings.ToLower(name), "pass") {
				add(values...)
			}
		}
	}
	if match := userinfo.FindStringSubmatch(text); match != nil {
		add(match[1])
		if _, password, both := strings.Cut(match[1], ":"); both {
			add(password)
		}
	}
	all := make(secrets, 0, len(found))
	for value := range found {
		all = append(all, value)
	}
	sort.Slice(all, func(i, j int) bool { return len(all[i]) > len(all[j]) })
	return all
}

// clean is a text without URLs and secrets.
func (s secrets) clean(text string) string {
	text = anyURL.ReplaceAllString(text, mask)
	for _, secret := range s {
		text = strings.ReplaceAll(text, secret, mask)
	}
	return text
}

// hide is an error whose text is clean.
func (s secrets) hide(err error) error {
	if err == nil {
		return nil
	}
	return &hidden{s.clean(err.Error()), err}
}

type hidden struct {
	text  string
	cause error
}

func (h *hidden) Error() string { return h.text }
func (h *hidden) Unwrap() error { return h.cause }
