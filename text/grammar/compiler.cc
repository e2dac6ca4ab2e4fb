#include <algorithm>

#include "text/grammar/grammar.h"
#include "text/grammar/syntax.h"
#include "text/grammar/utf8_ranges.h"

namespace llmrun {

namespace {

using Kind = GrammarState::Kind;

class Compiler {
 public:
  explicit Compiler(const GrammarSyntax& syntax) : syntax_(syntax) {}

  Result<Grammar> Compile() {
    grammar_.starts.assign(syntax_.rules.size(), 0);
    grammar_.root = syntax_.root;
    for (const GrammarRule& rule : syntax_.rules) names_.push_back(rule.name);
    for (uint32_t rule = 0; rule < syntax_.rules.size(); ++rule) {
      CompileRule(rule, syntax_.rules[rule].node);
    }
    if (full_) {
      return MakeError(ErrorCode::kResource,
                       "grammar: more than {} states; fewer or smaller repetitions are needed",
                       kMaxGrammarStates);
    }
    RETURN_IF_ERROR(RefuseLeftRecursion());
    return std::move(grammar_);
  }

 private:
  // Where something goes on is known before it is compiled: from the end to the beginning.
  void CompileRule(uint32_t rule, uint32_t node) {
    const size_t outer = current_rule_;
    current_rule_ = rule;
    const uint32_t end = AddState({Kind::kReturn});
    const uint32_t start = CompileNode(node, end);
    grammar_.starts[rule] = start;
    current_rule_ = outer;
  }

  // The depth is that of the parentheses, which the parser limits.
  uint32_t CompileNode(uint32_t index, uint32_t next) {
    const GrammarNode& node = syntax_.nodes[index];
    if (full_) return next;
    switch (node.kind) {
      case GrammarNode::Kind::kLiteral:
        return CompileLiteral(node.literal, next);
      case GrammarNode::Kind::kSet: {
        const uint32_t state = AddCharacterSet(node.ranges, next, &grammar_);
        Own();
        return state;
      }
      case GrammarNode::Kind::kRule:
        return AddState({Kind::kCall, node.rule, next});
      case GrammarNode::Kind::kSequence:
        for (size_t i = node.children.size(); i-- > 0;) next = CompileNode(node.children[i], next);
        return next;
      case GrammarNode::Kind::kAlternatives: {
        uint32_t start = CompileNode(node.children.back(), next);
        for (size_t i = node.children.size() - 1; i-- > 0;) {
          const uint32_t choice = CompileNode(node.children[i], next);
          start = AddState({Kind::kSplit, choice, start});
        }
        return start;
      }
      case GrammarNode::Kind::kRepeat:
        return CompileRepeat(node, next);
    }
    return next;
  }

  uint32_t CompileLiteral(std::string_view literal, uint32_t next) {
    for (size_t i = literal.size(); i-- > 0 && !full_;) {
      const auto byte = static_cast<uint8_t>(literal[i]);
      const auto edge = static_cast<uint32_t>(grammar_.edges.size());
      grammar_.edges.push_back({byte, byte, next});
      next = AddState({Kind::kBytes, edge, edge + 1});
    }
    return next;
  }

  uint32_t CompileRepeat(const GrammarNode& node, uint32_t next) {
    const bool once = node.least + (node.most == kNoLimit ? 1 : node.most - node.least) <= 1;
    // What is repeated by number becomes a rule, so that each time takes one state.
    uint32_t rule = 0;
    if (!once) {
      rule = static_cast<uint32_t>(grammar_.starts.size());
      grammar_.starts.push_back(0);
      names_.push_back(names_[current_rule_]);
      CompileRule(rule, node.children[0]);
    }
    const auto body = [&](uint32_t then) {
      return once ? CompileNode(node.children[0], then) : AddState({Kind::kCall, rule, then});
    };
    if (node.most == kNoLimit) {
      const uint32_t loop = AddState({Kind::kSplit, 0, next});
      const uint32_t start = body(loop);
      grammar_.states[loop].a = start;
      next = loop;
    } else {
      const uint32_t end = next;
      for (uint32_t i = node.least; i < node.most && !full_; ++i) {
        const uint32_t start = body(next);
        next = AddState({Kind::kSplit, start, end});
      }
    }
    for (uint32_t i = 0; i < node.least && !full_; ++i) next = body(next);
    return next;
  }

  uint32_t AddState(GrammarState state) {
    grammar_.states.push_back(state);
    Own();
    return static_cast<uint32_t>(grammar_.states.size() - 1);
  }
  void Own() {
    owners_.resize(grammar_.states.size(), static_cast<uint32_t>(current_rule_));
    full_ = full_ || grammar_.states.size() > kMaxGrammarStates;
  }

  // What a rule reaches without taking a byte: which rules it calls there, and whether its end.
  void FindLeftCalls() {
    left_calls_.assign(grammar_.starts.size(), {});
    std::vector<bool> may_be_empty(grammar_.starts.size());
    std::vector<std::vector<uint32_t>> waiting(grammar_.starts.size());  // behind calls of a rule
    std::vector<bool> reached(grammar_.states.size());
    std::vector<uint32_t> work;
    const auto reach = [&](uint32_t state) {
      if (!reached[state]) work.push_back(state);
      reached[state] = true;
    };
    for (const uint32_t start : grammar_.starts) reach(start);
    while (!work.empty()) {
      const uint32_t index = work.back();
      work.pop_back();
      const GrammarState& state = grammar_.states[index];
      const uint32_t owner = owners_[index];
      if (state.kind == Kind::kSplit) {
        reach(state.a);
        reach(state.b);
      } else if (state.kind == Kind::kCall) {
        left_calls_[owner].push_back(state.a);
        waiting[state.a].push_back(state.b);
        if (may_be_empty[state.a]) reach(state.b);
      } else if (state.kind == Kind::kReturn && !may_be_empty[owner]) {
        may_be_empty[owner] = true;
        for (const uint32_t behind : waiting[owner]) reach(behind);
      }
    }
  }

  // A depth-first search with its own stack: a rule that is found again on the way to it.
  Status RefuseLeftRecursion() {
    FindLeftCalls();
    enum : uint8_t { kNew, kOpen, kDone };
    std::vector<uint8_t> marks(grammar_.starts.size(), kNew);
    std::vector<std::pair<uint32_t, size_t>> path;  // rule, its next call
    for (uint32_t first = 0; first < marks.size(); ++first) {
      if (marks[first] != kNew) continue;
      path.emplace_back(first, 0);
      marks[first] = kOpen;
      while (!path.empty()) {
        auto& [rule, next_call] = path.back();
        if (next_call == left_calls_[rule].size()) {
          marks[rule] = kDone;
          path.pop_back();
          continue;
        }
        const uint32_t callee = left_calls_[rule][next_call++];
        if (marks[callee] == kOpen) {
          return MakeFixableError(ErrorCode::kUsage, "a repetition, or the recursion at the end",
                                  "grammar: the rule '{}' begins with itself (left recursion)",
                                  names_[callee]);
        }
        if (marks[callee] == kNew) {
          marks[callee] = kOpen;
          path.emplace_back(callee, 0);
        }
      }
    }
    return {};
  }

  const GrammarSyntax& syntax_;
  Grammar grammar_;
  std::vector<std::string> names_;                 // [rule]; a repeated part has its rule's
  std::vector<uint32_t> owners_;                   // [state]: its rule
  std::vector<std::vector<uint32_t>> left_calls_;  // [rule]
  size_t current_rule_ = 0;
  bool full_ = false;
};

}  // namespace

Result<Grammar> CompileGrammar(std::string_view gbnf) {
  ASSIGN_OR_RETURN(const GrammarSyntax syntax, ParseGbnf(gbnf));
  return Compiler(syntax).Compile();
}

}  // namespace llmrun
