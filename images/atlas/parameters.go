package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"sort"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/lib/pq"
)

const noTLS = "the server does not support TLS: enable it on the server, or use %s in the URL of the database"

var (
	// Drivers pass on to the server what they do not know, as settings of the session.
	unknownSetting = regexp.MustCompile(`unrecognized configuration parameter "(.*)"|Unknown system variable '(.*)'`)
	plainName      = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,63}$`)
)

// insteadOf are parameters by which other drivers call what ours call otherwise.
var insteadOf = map[bool]map[string]string{
	false: {"schema": "search_path", "currentschema": "search_path", "ssl": "sslmode"},
	true:  {"ssl": "tls", "usessl": "tls", "sslmode": "tls", "ssl-mode": "tls"}, // MySQL
}

// refused says of a URL that was not accepted what is to be changed in it, where that can be known.
func refused(ctx context.Context, text string, err error) error {
	switch {
	case errors.Is(err, pq.ErrSSLNotSupported):
		return fmt.Errorf(noTLS, "sslmode=disable")
	case errors.Is(err, mysql.ErrNoTLS):
		return fmt.Errorf(noTLS, "tls=false")
	}
	u, parsed := url.Parse(text)
	if parsed != nil || settingOf(err) == "" {
		return err
	}
	query := u.Query()
	var unknown []string
	for name := settingOf(err); query.Has(name); name = settingOf(err) {
		unknown = append(unknown, advised(u.Scheme, name))
		query.Del(name)
		u.RawQuery = query.Encode()
		client, next := open(ctx, u.String())
		if next == nil {
			_ = client.Close()
		}
		err = next
	}
	if len(unknown) == 0 {
		return err
	}
	sort.Strings(unknown) // the driver sends them in any order
	return fmt.Errorf("the URL of the database has parameters that neither the driver nor the server knows: %s", strings.Join(unknown, ", "))
}

// settingOf is the one that a server complained of.
func settingOf(err error) string {
	if err == nil {
		return ""
	}
	if match := unknownSetting.FindStringSubmatch(err.Error()); match != nil {
		return match[1] + match[2]
	}
	return ""
}

// advised is the name of a parameter with what to write instead. A name that is none may be a part of a password.
func advised(scheme, name string) string {
	if !plainName.MatchString(name) {
		return mask
	}
	if other := insteadOf[isMySQL(scheme)][strings.ToLower(name)]; other != "" {
		return fmt.Sprintf("%s (use %s)", name, other)
	}
	return name
}
