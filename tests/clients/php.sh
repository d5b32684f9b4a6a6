#!/bin/sh
# A script for PHP: php.sh PORT NAME runs NAME.php.
command -v php >/dev/null || { echo "php-cli is not installed"; exit 77; }
exec php "$(dirname "$0")/$2.php" "$1"
