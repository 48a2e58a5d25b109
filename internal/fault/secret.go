package fault

import "strings"

// Hidden is shown in place of a secret.
const Hidden = "(hidden)"

// harmless are words for the tokens of a text, of which nothing is secret.
var harmless = strings.NewReplacer("token_count", "", "token-count", "", "tokenizer", "", "tokens_per", "", "max_tokens", "", "total_tokens", "")

// SecretWords are in the names of settings, variables and arguments whose values are secrets, and in few others.
func SecretWords() []string {
	return []string{"token", "secret", "passw", "credential", "api_key", "apikey", "api-key", "access_key", "private_key"}
}

var secretWords = NewWords(SecretWords()...)

// NamesSecret guesses from the name of a setting, variable or argument that its value is a secret.
func NamesSecret(name string) bool {
	return secretWords.In(name) && secretWords.In(harmless.Replace(strings.ToLower(name)))
}
