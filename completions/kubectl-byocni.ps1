# PowerShell completion for kubectl-byocni, called by its own name:
#   kubectl-byocni completion powershell | Out-String | Invoke-Expression
# For `kubectl byocni <TAB>`: kubectl byocni completion install

Register-ArgumentCompleter -Native -CommandName 'kubectl-byocni' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    # The words up to the cursor; the last one is being typed, and may be empty.
    $words = @($commandAst.CommandElements |
        Where-Object { $_.Extent.StartOffset -lt $cursorPosition } |
        ForEach-Object {
            $text = $_.Extent.Text
            $end = $cursorPosition - $_.Extent.StartOffset
            if ($end -lt $text.Length) { $text = $text.Substring(0, $end) }
            $text.Trim('"', "'")
        })
    $program = $words[0]
    $arguments = @($words | Select-Object -Skip 1)
    $typed = ''
    if ($wordToComplete) {
        if ($arguments.Count) { $typed = $arguments[-1] }
    } else {
        # Before 7.3 an empty argument is only passed on if it is quoted.
        $old = $PSVersionTable.PSVersion -lt [version]'7.3' -or $PSNativeCommandArgumentPassing -eq 'Legacy'
        $arguments += if ($old) { '""' } else { '' }
    }
    $flag = if ($typed -match '^(-[^=]*=)') { $Matches[1] } else { '' }
    $found = @(& $program __complete @arguments 2>$null)
    $directive = 0
    $found | ForEach-Object {
        if ($_ -match '^:(\d+)$') { $directive = [int]$Matches[1]; return }
        if (-not $_) { return }
        $value, $text = $_ -split "`t", 2
        if (-not $text) { $text = $value }
        [System.Management.Automation.CompletionResult]::new("$flag$value", $value, 'ParameterValue', $text)
    }
}
