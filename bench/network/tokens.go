package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"strings"
	"time"
)

// issuer is what the registries are told to expect in a token.
const issuer = "bench"

// tokenLife is what registries usually give.
const tokenLife = 300 * time.Second

// serveTokens answers GET with a token of the distribution specification's token authentication, and writes the
// certificate that the registries check it with to a file before it listens. Each request is a line on stdout.
func serveTokens(address, file string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	certificate, err := selfSigned(key)
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	return http.ListenAndServe(address, http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		fmt.Println(request.Method, request.URL.RequestURI())
		query := request.URL.Query()
		token, err := sign(key, certificate, query.Get("service"), query["scope"])
		if err != nil {
			http.Error(answer, err.Error(), http.StatusInternalServerError)
			return
		}
		answer.Header().Set("Content-Type", "application/json")
		json.NewEncoder(answer).Encode(map[string]any{
			"token": token, "access_token": token, "expires_in": int(tokenLife.Seconds()),
			"issued_at": time.Now().UTC().Format(time.RFC3339),
		})
	}))
}

func selfSigned(key *rsa.PrivateKey) ([]byte, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: issuer},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(7 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	return x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
}

// access is what a token allows in one repository.
type access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// sign makes a token (RFC 7519) for scopes such as "repository:team/app:pull,push"; one parameter can hold several.
func sign(key *rsa.PrivateKey, certificate []byte, service string, scopes []string) (string, error) {
	granted := []access{}
	for _, scope := range strings.Fields(strings.Join(scopes, " ")) {
		kind, rest, _ := strings.Cut(scope, ":")
		end := strings.LastIndex(rest, ":")
		if end < 0 {
			return "", fmt.Errorf("no scope: %s", scope)
		}
		granted = append(granted, access{kind, rest[:end], strings.Split(rest[end+1:], ",")})
	}
	header, err := encoded(map[string]any{
		"typ": "JWT", "alg": "RS256", "x5c": []string{base64.StdEncoding.EncodeToString(certificate)},
	})
	if err != nil {
		return "", err
	}
	now := time.Now()
	claims, err := encoded(map[string]any{
		"iss": issuer, "sub": "", "aud": service, "jti": rand.Text(), "access": granted,
		"nbf": now.Add(-time.Minute).Unix(), "iat": now.Unix(), "exp": now.Add(tokenLife).Unix(),
	})
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256([]byte(header + "." + claims))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		return "", err
	}
	return header + "." + claims + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

func encoded(value any) (string, error) {
	text, err := json.Marshal(value)
	return base64.RawURLEncoding.EncodeToString(text), err
}
